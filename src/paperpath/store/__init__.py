"""The queue's memory: one contract, and the engines that keep it."""
