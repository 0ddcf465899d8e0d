"""What a history says: pure, from the files alone, so that it can be asked again years later."""
