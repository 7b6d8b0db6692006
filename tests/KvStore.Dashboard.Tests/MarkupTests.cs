using System.Net;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Dashboard.Markup;

namespace KvStore.Dashboard.Tests;

public sealed class MarkupTests
{
    [Fact]
    public void Argument_of_interpolated_html_is_text_and_comes_out_as_it_was()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<string>(), text =>
        {
            var markup = Html.Of($"""<a title="{text}">{text}</a>""").ToString();

            var inner = markup["<a title=\"".Length..^"</a>".Length];
            inner.Count(c => c is '<' or '\'').Should().Be(0);
            inner.Count(c => c == '>').Should().Be(1);
            inner.Count(c => c == '"').Should().Be(1);
            var expected = new string([.. (text ?? "").EnumerateRunes().SelectMany(rune => rune.ToString())]);
            WebUtility.HtmlDecode(inner[(inner.IndexOf('>') + 1)..]).Should().Be(expected);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Html_as_argument_of_interpolated_html_stays_html()
    {
        Html.Of($"<b>{Html.Of($"<i>{"<&>"}</i>")}</b>{default(Html)}{17}").ToString().Should().Be("<b><i>&lt;&amp;&gt;</i></b>17");
    }

    [Theory]
    [InlineData(0, "now")]
    [InlineData(-5, "now")]
    [InlineData(0.2, "in 1 s")]
    [InlineData(59, "in 59 s")]
    [InlineData(60, "in 1 min")]
    [InlineData(61, "in 1 min 1 s")]
    [InlineData(3600, "in 1 h")]
    [InlineData(11_520, "in 3 h 12 min")]
    [InlineData(86_400, "in 1 d")]
    [InlineData(360_000, "in 4 d 4 h")]
    public void Remaining_time_is_shown_in_its_two_largest_units(double seconds, string text) =>
        Format.Remaining(TimeSpan.FromSeconds(seconds)).Should().Be(text);

    [Theory]
    [InlineData(0, "0 bytes")]
    [InlineData(1, "1 byte")]
    [InlineData(1023, "1023 bytes")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(26_214_400, "25.0 MiB")]
    [InlineData(200_000_000_000, "186 GiB")]
    public void Bytes_are_shown_in_a_fitting_unit(long bytes, string text) => Format.Bytes(bytes).Should().Be(text);
}
