namespace StaleReads.Tests;

public sealed class ProgramTests
{
    [Fact]
    public async Task The_program_shows_what_each_region_sees_when()
    {
        var output = await DrawAsync();

        // The first to read find nothing, and go on finding nothing for a minute: what is replaced by then they never see.
        output.Should().Contain("  jnb   ·····11111111112222222222222222222222222222222222233333");
        output.Should().Contain("  lhr   ······························22222222222222222222222222222233333");
        output.Should().MatchRegex(@"v1 at 10 s +jnb +0 s\n +lhr +never\n +sfo +never\n");
        output.Should().MatchRegex(@"v2 at 30 s +jnb +0 s\n +lhr +30 s █+\n +sfo +30 s █+\n");
        output.Should().MatchRegex(@"v1 at 100 ms +jnb +0 s\n +lhr +\d\d+ ms █+\n +sfo +\d\d+ ms █+\n");
    }

    [Fact]
    public async Task Output_is_identical_in_every_run()
    {
        (await DrawAsync()).Should().Be(await DrawAsync());
    }

    private static async Task<string> DrawAsync()
    {
        using var output = new StringWriter { NewLine = "\n" };
        await Scenarios.DrawAsync(output);
        return output.ToString();
    }
}
