"""What a comic is: contracts, geometry, reading order and the stages, free of any machinery."""
