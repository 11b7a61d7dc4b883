"""Arguments, objective and cached pictures of scenes."""
