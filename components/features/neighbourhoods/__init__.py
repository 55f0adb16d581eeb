"""Who lies near whom: nearest neighbours, manifolds, and the training images nearest to a fake."""
