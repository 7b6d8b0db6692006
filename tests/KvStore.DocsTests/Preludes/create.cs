public sealed record Price(string Product, int Cents);

public abstract class DocumentPrelude : GeneralPrelude
{
    protected static ValueTask<Price> LoadPriceAsync(string product, CancellationToken cancellationToken) => new(new Price(product, 10));
}
