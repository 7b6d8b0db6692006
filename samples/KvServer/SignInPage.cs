using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Antiforgery;

namespace KvServer;

/// <summary>The page that asks for the token.</summary>
internal static class SignInPage
{
    public const string StylePath = "/sign-in.css";

    public static IResult Render(HttpContext context, IAntiforgery antiforgery, string? error, int errorStatus = StatusCodes.Status400BadRequest)
    {
        var tokens = antiforgery.GetAndStoreTokens(context);
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-store";
        var query = context.Request.QueryString.Value;
        return Results.Content(
            $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Sign in – KvServer</title>
            <link rel="stylesheet" href="{StylePath}">
            </head>
            <body>
            <main>
            <h1>KvServer</h1>
            {(error is null ? "" : $"<p id=\"error\" class=\"error\" role=\"alert\">{Encode(error)}</p>")}
            <form method="post" action="/sign-in{Encode(query)}">
            <input type="hidden" name="{Encode(tokens.FormFieldName)}" value="{Encode(tokens.RequestToken)}">
            <label for="token">Token of this server</label>
            <input type="password" id="token" name="token" required autofocus autocomplete="current-password" {(error is null ? "aria-describedby=\"hint\"" : "aria-invalid=\"true\" aria-describedby=\"error hint\"")}>
            <p id="hint">It is <code>KVSTORE_TOKEN</code>, or was printed when it was made.</p>
            <button>Sign in</button>
            </form>
            </main>
            </body>
            </html>
            """,
            "text/html; charset=utf-8",
            System.Text.Encoding.UTF8,
            error is null ? StatusCodes.Status200OK : errorStatus);
    }

    public static IResult Style() => Results.Content(
        """
        :root { color-scheme: light dark }
        * { box-sizing: border-box }
        body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f5f6f8, #0f1216); color: light-dark(#171b21, #e6e9ee) }
        main { width: min(26rem, calc(100vw - 2rem)); padding: 2rem; border-radius: 14px; border: 1px solid light-dark(#dde1e7, #2a313a); background: light-dark(#fff, #171b21) }
        h1 { margin: 0 0 1.2rem; font-size: 1.5rem; letter-spacing: -.02em }
        label { display: block; font-weight: 600; margin-bottom: .3rem }
        input[type=password] { width: 100%; font: inherit; padding: .55rem .7rem; border: 1px solid light-dark(#8a93a0, #66717f); border-radius: 8px; background: light-dark(#f5f6f8, #0f1216); color: inherit }
        p { color: light-dark(#5a6371, #9aa5b4); font-size: .9rem; margin: .4rem 0 1.2rem }
        .error { color: light-dark(#a8211a, #ff9a91); font-weight: 600 }
        button { font: inherit; font-weight: 600; padding: .55rem 1.2rem; border: 0; border-radius: 8px; background: light-dark(#2457d6, #86adff); color: light-dark(#fff, #0b1530); cursor: pointer }
        :focus-visible { outline: 3px solid light-dark(#2457d6, #86adff); outline-offset: 2px }
        """,
        "text/css; charset=utf-8");

    private static string Encode(string? text) => HtmlEncoder.Default.Encode(text ?? "");
}
