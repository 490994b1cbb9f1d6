"""Speed of the package side by side with what one would use instead, and studies of the method."""
