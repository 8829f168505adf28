"""Brands of agents: each an ``AgentRuntime`` that drives one agent's program in the machine it is handed.

``acp`` speaks the Agent Client Protocol with any program that serves it; ``codex`` is Codex on top of that;
``factory`` finds the runtime for an agent's type. Nothing here knows what a machine is made of.
"""
