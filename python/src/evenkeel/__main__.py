"""`python -m evenkeel` is `evenkeel`."""

from evenkeel.binary import main

main()
