"""Models on vLLM servers that are started for them, in an environment of their own.

    environment (which interpreter, what it holds) -> command (how it is called) -> watchdog (a process that ends its server whenever we
    end) -> server (one of them, from start to stop) -> fleet (which of them run) -> engine (the client of `engines.openai` on top)

The server lives in another process and another environment, since vLLM pins another torch and transformers than training does; weights
reach it as a folder, requests over HTTP on the loopback interface.

What this does not cover: servers on other machines (start them there and use `kind: openai`), several models side by side by plan: servers
share a machine only while more than one is in use at a time.
"""
