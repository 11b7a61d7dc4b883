"""The set BBOB of the platform COCO: 24 functions without noise."""
