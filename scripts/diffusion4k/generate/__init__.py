"""Pictures from prompts: one call of the pipeline each, its seed a matter of policy."""
