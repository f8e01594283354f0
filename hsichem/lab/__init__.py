"""What a person meets: a notebook, a run, a page, the explorer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["plotting"],
    submod_attrs={
        "engine": ["each_on"],
        "explorer.explorer": ["explore"],
        "lessons": ["check", "findings", "hint"],
        "mapping": ["find_captures", "map_captures"],
        "models": ["Model", "facts_of", "load_model", "save_model"],
        "moving.moving": ["forge_share", "paint_loss", "show_exposures", "show_training", "stack_noise"],
        "report": ["write_report"],
        "results": ["Results", "latest_results"],
        "runner": ["NotebookError", "check_parameters", "find_notebooks", "run_notebooks"],
        "settings": ["PRESETS", "parse_value", "read_settings"],
        "sweep": ["parse_fixed", "parse_grid", "plan_sweep", "run_sweep"],
        "tables": ["text", "text_table"],
    },
)
