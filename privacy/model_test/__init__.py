"""What a trained model tells of the people it was trained on: asked in a process of its own, attacked in this one."""
