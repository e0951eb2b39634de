"""Reading pages: OCR for literal text, vision-language models for what happens, and what either costs."""
