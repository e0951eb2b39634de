"""What the training service keeps and reads: corrections, and the runs made of them."""
