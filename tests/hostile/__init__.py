"""Hostile files, one table for each kind; sent through the sandbox.

A line is a contribution: a name that says what is wrong, the file, and the codes it may end in.
``{secret}`` and ``{port}`` in a file stand for a file and a server that it must not get at.
"""
