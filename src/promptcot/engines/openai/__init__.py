"""The engine of served models: any server that speaks the OpenAI API (vLLM, SGLang, llama.cpp, a hosted service).

    engine -> bodies (what is asked) -> servers (where, how often, how fast) -> replies (what was said)

One event loop in a thread of its own holds all requests in flight (`background`), a pool of servers shares them out (`servers`,
`congestion`), failures are sorted into those worth another try and those of the user (`failures`), what a server can do is found out by
asking it (`probing`), and a server that answers nothing usable stops the run early (`breaker`).

What this does not cover: streamed replies, tools, images.
"""
