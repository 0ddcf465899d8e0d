"""The workflows of this repository: as they stand, and their steps carried out."""
