"""What made pages can show, each switch one feature of the generator: an ablation turns one off."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Features:
    """Everything is on unless an ablation says otherwise."""

    manga: bool = True  # right-to-left pages of black and white art, tall narrow panels, wide row gutters
    bleeds: bool = True  # panels that reach the edge of the page
    hairlines: bool = True  # panels divided by a line of 1 to 3 px, or by nothing
    slants: bool = True  # slanted, round and wobbling frames
    insets: bool = True  # panels on panels, and panels that overlap
    open_panels: bool = True  # panels without a frame on the page's own ground
    breaking_out: bool = True  # figures and balloons that cross frames
    irregular: bool = True  # staggered rows, blocked layouts, unlike columns
    formats: bool = True  # spreads, vertical strips, strips of four
    matter: bool = True  # pages without panels: text, credits, advertisements, nothing
    covers: bool = True  # covers and splashes: one picture over the whole page
    scenes: bool = True  # perspective, rooms, streets, landscapes
    dark_bars: bool = True  # door frames, trunks and poles inside panels that look like gutters
    close_ups: bool = True  # heads larger than the panel, parts of figures
    crowds: bool = True
    line_art: bool = True  # black and white drawing: hatching, speed lines, screentone, large empty grounds
    boxes_of_text: bool = True  # narration boxes and large balloons that look like small panels
    sounds: bool = True  # large drawn sound effects
    ageing: bool = True  # paper, halftone, skew, blur, show-through, JPEG
    material: bool = True  # pieces of real drawn pages inside made frames, where the trainer was given some

    def without(self, name: str) -> "Features":
        """The same with one feature turned off; ValueError names an unknown one."""
        if name not in NAMES:
            raise ValueError(f"there is no feature {name}; there are {', '.join(NAMES)}")
        return replace(self, **{name: False})


NAMES = tuple(field.name for field in fields(Features))
ALL = Features()
