package import MartletWire

/// What stands behind one end of a stream.
///
/// All of these are called on the polling thread, one at a time for one stream, and must not block.
package protocol StreamOwner: AnyObject, Sendable {
    /// We have opened the stream; called before anything of it is sent, under the node's lock.
    func opened(_ key: StreamKey)
    /// A message, or with `flags` `more` a part of one, has come. The bytes are valid during the call only.
    ///
    /// - Parameter kind: `.open` is not reported: its payload is given to who accepts. `.data` payloads cost credit, which
    ///   the owner gives back through ``StreamTable/consumed(_:payload:)`` when it has taken them. `.end` is the last.
    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags)
    /// There is credit again for one who waits for it.
    func creditArrived()
    /// The stream is over.
    func wasReset(_ reason: ResetReason)
}

extension StreamOwner {
    package func opened(_ key: StreamKey) {}
    package func creditArrived() {}
}
