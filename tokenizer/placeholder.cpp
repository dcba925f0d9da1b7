namespace linnet {}
