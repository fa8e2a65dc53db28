"""Benchmarks: each network and command beside a peer, timed by turns in the same run"""
