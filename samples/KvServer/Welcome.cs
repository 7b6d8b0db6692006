namespace KvServer;

/// <summary>The text that the server prints when it listens: its addresses, the settings of the tools, and at the end the new
/// secrets.</summary>
internal static class Welcome
{
    public static void Print(string listening, string? bindingUrl, ServerSettings settings)
    {
        var url = Reachable(listening);
        Console.WriteLine();
        Console.WriteLine($"KvServer keeps its namespaces in {settings.Data}");
        Console.WriteLine($"KvServer listens on {listening}");
        Console.WriteLine();
        Console.WriteLine($"dashboard, where the token signs in: {url}/dashboard");
        Console.WriteLine();
        Console.WriteLine("wrangler:");
        Console.WriteLine($"  export CLOUDFLARE_API_BASE_URL={url}/client/v4 CLOUDFLARE_ACCOUNT_ID=local");
        Console.WriteLine(settings.Token switch
        {
            { NewSecret: { } secret } => $"  export CLOUDFLARE_API_TOKEN={secret}",
            { IsGiven: true } => "  export CLOUDFLARE_API_TOKEN=\"$KVSTORE_TOKEN\"",
            _ => "  read -rsp 'token: ' CLOUDFLARE_API_TOKEN; export CLOUDFLARE_API_TOKEN",
        });
        Console.WriteLine("  npx wrangler kv namespace create settings");
        Console.WriteLine();
        PrintBinding(bindingUrl, settings);
        Console.WriteLine();
        PrintSecrets(settings);
        Console.Out.Flush();

        // Not before: a secret that nobody has seen is not stored.
        settings.Token.Keep();
        settings.BindingSecret?.Keep();
        Console.WriteLine(
            "Without KVSTORE_BINDING_SECRET the runtime's secret is made at the first start; with --open-binding there is none, and every program of this machine comes in.");
    }

    private static void PrintBinding(string? bindingUrl, ServerSettings settings)
    {
        if (bindingUrl is null)
        {
            Console.WriteLine("workerd: not served, since its usual address is taken; --binding-url names another.");
            return;
        }

        var address = new Uri(Reachable(bindingUrl)).Authority;
        Console.WriteLine($"workerd, on {bindingUrl}; in its configuration a binding and a service:");
        Console.WriteLine("  ( name = \"KV\", kvNamespace = \"kv-http\" )");
        Console.WriteLine($"  ( name = \"kv-http\", external = ( address = \"{address}\", http = ( injectRequestHeaders = [");
        if (settings.IsBindingOpen)
        {
            Console.WriteLine("    ( name = \"X-Namespace\", value = \"settings\" ) ] ) ) )");
            return;
        }

        var secret = settings.BindingSecret?.NewSecret ?? "SECRET";
        Console.WriteLine($"    ( name = \"X-Namespace\", value = \"settings\" ), ( name = \"Authorization\", value = \"Bearer {secret}\" ) ] ) ) )");
        if (settings.BindingSecret is { NewSecret: null } kept)
        {
            Console.WriteLine($"  SECRET is {(kept.IsGiven ? "the value of KVSTORE_BINDING_SECRET" : "the one that was shown when it was made")}.");
        }
    }

    private static void PrintSecrets(ServerSettings settings)
    {
        if (settings.BindingSecret is { NewSecret: { } bindingSecret })
        {
            Console.WriteLine($"The runtime's secret was made just now and is shown this time only: {bindingSecret}");
        }
        else if (settings.BindingSecret is { IsGiven: false })
        {
            Console.WriteLine("The runtime's secret is the one that was shown when it was made; --new-binding-secret makes another.");
        }

        if (settings.Token.NewSecret is { } secret)
        {
            Console.WriteLine($"The token of the API and the dashboard was made just now and is shown this once: {secret}");
        }
        else if (!settings.Token.IsGiven)
        {
            Console.WriteLine("The token of the API and the dashboard is the one that was shown when it was made; --new-token makes another.");
        }
    }

    // A client cannot call the address that means all addresses.
    private static string Reachable(string url)
    {
        var address = new UriBuilder(url);
        if (address.Host is "0.0.0.0" or "[::]")
        {
            address.Host = "localhost";
        }

        return address.Uri.GetLeftPart(UriPartial.Authority);
    }
}
