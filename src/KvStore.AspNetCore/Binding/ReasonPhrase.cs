namespace KvStore.Binding;

/// <summary>Turns a message into the reason phrase of a response: one line of printable ASCII.</summary>
internal static class ReasonPhrase
{
    private const int CharsMax = 512;

    public static string Of(string message)
    {
        var text = message.Length <= CharsMax ? message : message[..CharsMax];
        return string.Create(text.Length, text, (phrase, source) =>
        {
            for (var i = 0; i < source.Length; i++)
            {
                phrase[i] = source[i] is >= ' ' and <= '~' ? source[i] : '?';
            }
        });
    }
}
