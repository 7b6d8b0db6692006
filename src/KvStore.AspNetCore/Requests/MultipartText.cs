namespace KvStore.Requests;

/// <summary>
/// What is said of a multipart body or a form that cannot be read. Not what the framework's readers say: they quote the line of
/// the body that they cannot read.
/// </summary>
internal static class MultipartText
{
    /// <summary>What is wrong, by the kind of the exception.</summary>
    public static string WhatIsWrong(Exception exception) => exception is InvalidDataException
        ? "The body is malformed: the headers of a part are not well formed, or a part, a header or a name is too long."
        : "The body is malformed: it ends before its last part does, or its parts are not divided by the boundary that the header Content-Type names.";
}
