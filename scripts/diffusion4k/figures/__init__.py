"""The paper's figures: what each kind shows, how pictures are laid out, as PNG and as PDF."""
