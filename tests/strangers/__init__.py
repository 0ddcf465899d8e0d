"""Small services and failures that nobody chose for what brokenpipe can see, and what reports may say of them."""
