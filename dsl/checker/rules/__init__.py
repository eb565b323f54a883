"""What the checker says: one function for each kind of mistake, whose documentation is its page and its test.

They are found and called by the modules beside this package; here are only the sentences. See `dsl.codes`.
"""
