namespace KvStore.Tests.Architecture;

/// <summary>A test is found by its name: in the source, in the list of failed tests and in the documents that rely on it.</summary>
public sealed class TestNamesTests
{
    private static readonly (string File, string Name)[] s_tests =
        [.. SourceTree.FilesOf(SourceTree.Tests).SelectMany(file => TestNames.DeclaredIn(file.Value).Select(name => (file.Key, name)))];

    [Fact]
    public void Test_name_is_a_situation_and_an_outcome_in_at_most_80_characters() =>
        s_tests.Where(test => !TestNames.IsAllowed(test.Name)).Should().BeEmpty();

    [Fact]
    public void Test_named_in_a_document_exists()
    {
        var names = s_tests.Select(test => test.Name).ToHashSet();

        SourceTree.Documents().SelectMany(document => TestNames.MentionedIn(document.Value).Select(name => (document.Key, name)))
            .Where(mention => !names.Contains(mention.name)).Should().BeEmpty();
    }

    [Fact]
    public void Source_file_named_in_a_document_exists()
    {
        var files = new[] { "src", "tests", "benchmarks", "samples" }
            .SelectMany(folder => SourceTree.FilesOf(Path.Combine(SourceTree.Root, folder)).Keys).Select(file => "/" + file).ToList();

        SourceTree.Documents().SelectMany(document => TestNames.SourceFilesIn(document.Value).Select(name => (document.Key, name)))
            .Where(mention => !files.Exists(file => file.EndsWith("/" + mention.name, StringComparison.Ordinal))).Should().BeEmpty();
    }

    [Fact]
    public void Filter_in_the_CI_script_names_tests_that_exist()
    {
        // A filter that matches nothing passes in silence, so a renamed folder would take its tests out of CI.
        var places = s_tests.Select(test => $".{test.File[..^".cs".Length].Replace('/', '.')}.").ToList();

        var filters = TestNames.FiltersIn(File.ReadAllText(Path.Combine(SourceTree.Root, ".ci", "run"))).ToList();

        filters.Should().NotBeEmpty();
        filters.Where(filter => !places.Exists(place => place.Contains(filter, StringComparison.Ordinal))).Should().BeEmpty();
    }

    [Fact]
    public void Every_test_project_has_tests_whose_names_are_found()
    {
        // If the pattern stopped matching, nothing above could fail.
        var projects = SourceTree.FilesOf(SourceTree.Tests).Where(file => file.Value.Contains("[Fact]", StringComparison.Ordinal))
            .Select(file => file.Key.Split('/')[0]).Distinct().ToList();
        projects.Should().HaveCountGreaterThan(5);
        s_tests.Select(test => test.File.Split('/')[0]).Should().Contain(projects);
    }

    [Theory]
    [InlineData("It_works")]
    [InlineData("One_is_kept")]
    [InlineData("What_was_put_is_there")]
    [InlineData("NoUnderscores")]
    [InlineData("lower_case_first")]
    [InlineData("A_name_of_more_than_eighty_characters_that_no_list_of_tests_would_ever_show_as_a_whole")]
    public void Name_that_STYLE_forbids_is_found(string name) => TestNames.IsAllowed(name).Should().BeFalse();

    [Fact]
    public void Test_behind_several_attributes_is_found() =>
        TestNames.DeclaredIn(
            """
                [RealPartTheory(RealPart.Strace)]
                // Of all kinds.
                [InlineData("a")]
                [MemberData(
                    nameof(All))]
                public async Task<int> Situation_has_an_outcome(string text)
            """).Should().Equal("Situation_has_an_outcome");
}
