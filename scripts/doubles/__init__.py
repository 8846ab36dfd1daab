"""Local servers that speak the protocols of cloud drives, for tests and the demo.

Written from the services' public API references. The unmodified SDKs talk to them over TLS, and
`make test-live` runs the same tests against the real services, which is how a double is checked.
"""
