using System.Text.RegularExpressions;

namespace KvStore.Dashboard.Tests;

/// <summary>Texts that a page must show and never obey.</summary>
internal static class HostileText
{
    public static TheoryData<string> All =>
    [
        "<script>alert(1)</script>", "</textarea><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "javascript:alert(1)",
        "</title><svg onload=alert(1)>", "<!--", "]]>", "&lt;script&gt;", "a\0b", "line\nbreak", "\r\n\r\nSet-Cookie: x=y", "\t", " leading and trailing ", "..", "../../etc/passwd",
        "a/../b", "a//b", "%2e%2e%2f", "%00", "a+b", "a%20b", "?q=1&r=2#f", "{{7*7}}", "${7*7}", "😀 e\u0301", "\u202Edcba", "\u200B", "\uFEFF", "\u0085\u009F", "\u2028\u2029", "\uFFFF",
    ];

    /// <summary>Asserts that nothing of a page is markup but what the dashboard wrote.</summary>
    public static void MustNotBeMarkup(string page)
    {
        // What stands between quotes is the value of an attribute: a quote in it would be encoded.
        Regex.Replace(page, "\"[^\"]*\"", "").Should().NotMatchRegex("<[^>]*\\son[a-z]+\\s*=");
        page.Should().NotMatchRegex("<script(?! src=\"/dashboard/assets/dashboard\\.[0-9a-f]{16}\\.js\"></script>)");
        page.Should().NotMatchRegex("<img(?! src=\"/dashboard/assets/icon\\.)").And.NotContain("<svg onload").And.NotContain("<!--");
        page.Should().NotContain("href=\"javascript:").And.NotContain("\0");
    }
}
