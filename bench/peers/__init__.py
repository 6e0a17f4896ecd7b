"""The same operations as others would write them, on the same table and items, and the least that could do them."""
