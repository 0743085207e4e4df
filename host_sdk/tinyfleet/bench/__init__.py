"""The measurements behind every published number, each a function that anyone can run again."""
