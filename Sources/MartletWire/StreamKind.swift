/// What a stream is for: the first byte of an `open` frame's payload.
///
/// The kind decides who may open it: see `StreamAuthority` in MartletLink.
package enum StreamKind: UInt8, Sendable, CaseIterable {
    /// A task with its arguments; the answer is its result or error.
    case call = 1
    /// A program to run; its output flows back, its input flows there.
    case command = 2
    /// Start a child context by a connector.
    case connect = 3
    /// Lines that a context's code, or a program that it started, wrote to its standard output or error.
    case output = 4
    /// Empty; answered at once by the context's I/O side, so it tells the round trip even while every thread is busy.
    case echo = 5
    /// End a child context: the answer comes when it has gone.
    case disconnect = 6
    /// The way to one end of a channel; the payload is the token that entitles to it.
    case channel = 7
    /// Log records of a context.
    case log = 8
    /// What a context is doing; answered by its I/O side, however busy its threads are.
    case status = 9
    /// Something that was offered: the payload is the offer's token and a name.
    case fetch = 10
    /// A connection that the context makes, or one that it has accepted; bytes flow both ways.
    case dial = 12
    /// A port or socket on which the context listens; each connection is told.
    case listen = 13
    /// A call of an actor; the payload begins with the token that entitles to it.
    case invoke = 14
    /// The link of another controller, to whom a context above lends this one: bytes flow both ways.
    case join = 15
    /// Let the context live on without its parent, for a time.
    case detach = 16
}
