"""Tools of the repository; none of this is part of the installed package."""
