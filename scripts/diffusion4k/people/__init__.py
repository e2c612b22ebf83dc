"""What people, or a model in their place, say of pictures: the kit that asks, votes, agreement."""
