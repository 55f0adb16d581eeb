"""Files of the data: their names, what is inside archives, and files of labels."""
