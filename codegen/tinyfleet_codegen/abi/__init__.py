"""The kernels' binary interface, read from their C headers: struct layouts, prototypes and the contracts in their comments.

The headers are the one declaration. A blob is laid out by them, and the table of checks that a device runs before it
trusts a blob is printed from them, so that a new kernel needs no second description.
"""
