namespace KvServer;

/// <summary>What the server prints when it listens: its addresses, and what points the tools at them.</summary>
internal static class Welcome
{
    public static void Print(string url, string? bindingUrl, ServerAccess access, string data)
    {
        Console.WriteLine();
        Console.WriteLine($"KvServer keeps its namespaces in {data}");
        Console.WriteLine($"KvServer listens on {url}");
        if (access.NewSecret is { } secret)
        {
            Console.WriteLine($"Its token was made just now and is shown this once: {secret}");
        }
        else if (!access.IsGiven)
        {
            Console.WriteLine($"Its token is the one that was shown at its first start; delete {Path.Combine(data, "token.sha256")} to have another made.");
        }

        var token = access.NewSecret ?? (access.IsGiven ? "$KVSTORE_TOKEN" : "the-token");
        Console.WriteLine();
        Console.WriteLine($"dashboard, where the token signs in: {url}/dashboard");
        Console.WriteLine();
        Console.WriteLine("wrangler:");
        Console.WriteLine($"  export CLOUDFLARE_API_BASE_URL={url}/client/v4 CLOUDFLARE_API_TOKEN={token} CLOUDFLARE_ACCOUNT_ID=local");
        Console.WriteLine("  npx wrangler kv namespace create settings");
        Console.WriteLine();
        if (bindingUrl is null)
        {
            Console.WriteLine("workerd: not served, since its usual address is taken; --binding-url names another.");
            return;
        }

        Console.WriteLine($"workerd, on {bindingUrl}; in its configuration a binding and a service:");
        Console.WriteLine("  ( name = \"KV\", kvNamespace = \"kv-http\" )");
        Console.WriteLine(
            $"  ( name = \"kv-http\", external = ( address = \"{new Uri(bindingUrl).Authority}\", http = ( injectRequestHeaders = [");
        Console.WriteLine("    ( name = \"X-Namespace\", value = \"settings\" ), ( name = \"Authorization\", value = \"Bearer $KVSTORE_BINDING_SECRET\" ) ] ) ) )");
        Console.WriteLine("  Without KVSTORE_BINDING_SECRET, whoever connects over loopback may come in, and nobody else.");
    }
}
