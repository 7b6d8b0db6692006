using Microsoft.FeatureManagement;

namespace EdgeSite;

/// <summary>
/// What the applications of a tenant ask: whether a flag is on. Microsoft.FeatureManagement answers, with its definitions in the namespace
/// of the flags: the metadata switches a flag, and its value may hold conditions, for example a percentage of users.
/// </summary>
internal static class FlagAnswers
{
    /// <summary>What the keys of flags begin with; what follows is the name of the feature.</summary>
    public const string Prefix = "flag:";

    /// <summary>Adds the address <c>/flags/{tenant}/{name}</c>.</summary>
    public static void MapFlagAnswers(this IEndpointRouteBuilder app) =>
        app.MapGet("/flags/{tenant}/{name}", async (string tenant, string name, IVariantFeatureManager features, CancellationToken cancellationToken) =>
            FlagsPage.IsTenant(tenant)
                ? Results.Text(await features.IsEnabledAsync(IFlags.FlagKey(tenant, name)[Prefix.Length..], cancellationToken) ? "on" : "off")
                : Results.NotFound());
}
