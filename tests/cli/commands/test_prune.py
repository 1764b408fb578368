from .conftest import SALES, run_id


def test_it_only_says_until_it_is_told_to(hwds, sales, tmp_path):
    assert "0 runs" in hwds("prune").out
    runs = []
    for seed in (0, 1):
        assert hwds(f"{SALES} seed={seed}").code == 0
        runs.append(run_id(tmp_path))
    cells = len(list(tmp_path.glob("outputs/cache/cells/*/*.parquet")))
    assert "2 runs; 2 of them" in hwds("prune").out
    said = hwds(f"prune runs {runs[0]}")
    assert said.out.endswith("--yes does it.\n")
    assert f"adhoc/{runs[0]}" in said.out
    assert (tmp_path / "outputs/runs/adhoc" / runs[0]).is_dir()
    assert hwds(f"runs tag {runs[1]} keep").code == 0
    said = hwds("prune runs adhoc --yes")
    assert (said.code, said.out.splitlines()[-1][:15]) == (0, "Deleted 1 run, ")
    assert f"stays: adhoc/{runs[1]}: tagged keep" in said.out
    assert [path.name for path in (tmp_path / "outputs/runs/adhoc").iterdir()] == [runs[1]]
    assert "Would delete 0 files" in hwds("prune cache").out
    assert "Deleted" in hwds("prune cache --to 0B --yes").out
    left = len(list(tmp_path.glob("outputs/cache/cells/*/*.parquet")))
    assert 0 < left < cells, "the cells of the run that stays"
    again = hwds(f"{SALES} seed=1")
    assert (again.code, len(list(tmp_path.glob("outputs/cache/cells/*/*.parquet")))) == (0, left), (
        "nothing is computed again"
    )


def test_comparisons_go_too_and_what_is_wrong_is_refused_in_one_line(hwds, tmp_path):
    (tmp_path / "outputs/comparisons/0a1b").mkdir(parents=True)
    (tmp_path / "outputs/comparisons/0a1b/comparison.json").write_text('{"sources": []}')
    assert "1 comparison; 1 of them" in hwds("prune").out
    assert "comparisons/0a1b" in hwds("prune comparisons 0a").out
    assert (
        hwds("prune comparisons --older-than 0d --yes")
        .out.splitlines()[-1]
        .startswith("Deleted 1 comparison, ")
    )
    for line, said in (
        ("prune comparisons 0b", "no comparison '0b' below outputs/comparisons"),
        ("prune comparisons --keep-best 3", "no flag '--keep-best'"),
        ("prune comparisons", "must be given which: ids, --older-than or --larger-than"),
        (
            "prune sweeps",
            "must be given which: words as for `hwds runs`, --older-than, --larger-than or "
            "--keep-best",
        ),
        (
            "prune rns",
            "must be followed by runs, sweeps, comparisons or cache, got 'rns'; did you mean "
            "'runs'?",
        ),
        ("prune runs", "prune runs: must be given which"),
        (
            "prune runs --older-than soon",
            "--older-than: must be a span like 12h, 90d or 4w, got 'soon'",
        ),
        ("prune runs --larger-than 5", "--larger-than: must be a size like 500MB or 5GB, got '5'"),
        ("prune runs --kep-best 3", "no flag '--kep-best'; did you mean '--keep-best'?"),
        ("prune cache x", "prune cache: takes no words, got 'x'"),
    ):
        assert said in hwds(line).line
