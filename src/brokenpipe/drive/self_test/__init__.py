"""Tests of every fault on this machine before anything is measured: does it do what its contract says?"""
