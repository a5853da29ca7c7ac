"""The whole way from a checkpoint to a verified bundle; start reading at `compile.py`.

Nothing is imported here: `progress` is needed where torch is not.
"""
