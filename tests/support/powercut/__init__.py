"""What a power cut at any operation of the flash may do: flows that are cut, and the sweep that cuts them."""
