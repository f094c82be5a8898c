"""What the long-lived processes have in common: how they are born, told their settings, drained, and how they hand
mail to the queue.  Above every layer but the process folders."""
