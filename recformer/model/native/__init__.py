"""Training steps in C++, compiled on the machine that trains for the sizes of the model it trains."""
