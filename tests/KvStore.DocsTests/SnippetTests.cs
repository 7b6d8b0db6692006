namespace KvStore.DocsTests;

/// <summary>
/// Every block of C# in the documents compiles and runs. What it needs beyond itself stands in <c>Preludes/general.cs</c> and, for
/// one document, in <c>Preludes/NAME.cs</c>: a snippet that uses a new name gets it there.
/// </summary>
public sealed class SnippetTests : IDisposable
{
    private readonly string _previous = Environment.CurrentDirectory;
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-docs-").FullName;

    public SnippetTests() => Environment.CurrentDirectory = _directory;

    public static TheoryData<Snippet> All => [.. Snippet.All];

    public void Dispose()
    {
        Environment.CurrentDirectory = _previous;
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Snippet_compiles_and_runs(Snippet snippet)
    {
        var (assembly, errors) = SnippetCompiler.Compile(snippet);
        errors.Should().BeEmpty("{0} is what a reader copies", snippet.Place);
        if (SnippetCompiler.IsServer(snippet))
        {
            // It runs until it is stopped. tests/consumer runs it, in a process of its own and with a request to it.
            return;
        }

        if (SnippetCompiler.IsProgram(snippet))
        {
            await RunProgramAsync(snippet, assembly!.EntryPoint!);
            return;
        }

        await using var host = (SnippetHost)Activator.CreateInstance(assembly!.GetType("TheSnippet", throwOnError: true)!)!;
        await host.RunAsync();
        (await host.AskAsync()).Should().NotContain(answer => answer.Status >= 500, "{0} makes an application that works", snippet.Place);
    }

    [Fact]
    public void Snippets_are_found_in_the_documents_that_have_some() =>
        Snippet.All.Select(snippet => snippet.Document).Distinct().Should().Contain(["README.md", "docs/getting-started.md", "docs/http.md", "docs/recipes.md", "docs/replication.md"]);

    [Fact]
    public void Error_in_a_snippet_is_reported_with_its_line_in_the_document()
    {
        var snippet = Snippet.In("docs/made-up.md", ["text", "```csharp", "await kv.PutAsync(\"k\", \"v\");", "await kv.PutNothing();", "```"]).Single();

        SnippetCompiler.Compile(snippet).Errors.Should().ContainSingle().Which.Should().StartWith("docs/made-up.md:4: CS1061").And.Contain("PutNothing");
    }

    [Fact]
    public async Task Application_that_answers_500_is_noticed()
    {
        var snippet = Snippet.In("docs/made-up.md", ["```csharp", "app.MapGet(\"/\", string () => throw new InvalidOperationException());", "```"]).Single();
        var (assembly, errors) = SnippetCompiler.Compile(snippet);
        errors.Should().BeEmpty();
        await using var host = (SnippetHost)Activator.CreateInstance(assembly!.GetType("TheSnippet")!)!;
        await host.RunAsync();

        (await host.AskAsync()).Should().Equal(("/", 500));
    }

    private static async Task RunProgramAsync(Snippet snippet, System.Reflection.MethodInfo entry)
    {
        var console = Console.Out;
        using var printed = new StringWriter { NewLine = "\n" };
        Console.SetOut(printed);
        try
        {
            var result = entry.Invoke(null, entry.GetParameters().Length == 0 ? null : [Array.Empty<string>()]);
            if (result is Task task)
            {
                await task;
            }
        }
        finally
        {
            Console.SetOut(console);
        }

        if (snippet.Prints is { } expected)
        {
            printed.ToString().TrimEnd('\n').Should().Be(expected);
        }
    }
}
