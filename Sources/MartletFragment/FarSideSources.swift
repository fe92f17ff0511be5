// Made by bin/pack-fragment from MartletWire/CBOR and FarSide: change those, and run it.
// swift-format-ignore-file

/// What is compiled together with a fragment: names and sources.
enum FarSideSources {
static let all: [(String, String)] = [
(
"CBORCodingKey.swift",
###"""
struct CBORCodingKey: CodingKey, Hashable {
var stringValue: String
var intValue: Int?
init(stringValue: String) {
self.stringValue = stringValue
}
init(intValue: Int) {
self.stringValue = String(intValue)
self.intValue = intValue
}
init(index: Int) {
self.stringValue = "Index \(index)"
self.intValue = index
}
static let `super` = CBORCodingKey(stringValue: "super")
}
enum CBORPathStep {
case root
case index(Int)
case key(any CodingKey)
var codingKey: (any CodingKey)? {
switch self {
case .root: nil
case .index(let index): CBORCodingKey(index: index)
case .key(let key): key
}
}
}
"""###
),
(
"CBORDecoder.swift",
###"""
package struct CBORDecoder: Sendable {
package var limits: CBORLimits
package var userInfo = [CodingUserInfoKey: any Sendable]()
package var userInfoSource: (any CBORUserInfoSource)?
package init(limits: CBORLimits = .default) {
self.limits = limits
}
package func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
try bytes.withUnsafeBytes { try decode(type, from: $0) }
}
package func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
guard bytes.count <= limits.maximumByteCount else {
throw DecodingError.dataCorrupted(
.init(
codingPath: [],
debugDescription: "\(bytes.count) bytes are more than the limit of \(limits.maximumByteCount)."
)
)
}
var reader = CBORReader(bytes, limits: limits)
let common: T
do throws(CBORUncommon) {
common = try reader.readCommon(type, depth: 0)
} catch {
return try decodeSlowly(type, bytes)
}
guard reader.isAtEnd else { throw trailingBytes(at: reader.offset) }
return common
}
private func decodeSlowly<T: Decodable>(_ type: T.Type, _ bytes: UnsafeRawBufferPointer) throws -> T {
var document = CBORDocument(bytes, limits: limits, userInfo: userInfo, source: userInfoSource)
defer { if !isKnownUniquelyReferenced(&document) { document.keepCopy() } }
return try decodeRoot(type, document)
}
private func decodeRoot<T: Decodable>(_ type: T.Type, _ document: CBORDocument) throws -> T {
let root = CBORValueDecoder(document)
let value = try T(from: root)
let end = try root.findEnd()
guard end == document.count else { throw trailingBytes(at: end) }
return value
}
private func trailingBytes(at offset: Int) -> DecodingError {
let error = CBORError(.trailingBytes, at: offset)
return .dataCorrupted(.init(codingPath: [], debugDescription: "\(error)", underlyingError: error))
}
}
package protocol CBORUserInfoSource: AnyObject, Sendable {
var userInfo: [CodingUserInfoKey: any Sendable] { get }
}
struct CBORUncommon: Error {}
extension CBORReader {
@inline(__always)
mutating func readCommon<T>(_: T.Type, depth: Int) throws(CBORUncommon) -> T {
if T.self == String.self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readText() }, to: T.self)
}
if T.self == Int.self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readInteger(Int.self) }, to: T.self)
}
if T.self == [UInt8].self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readBytes() }, to: T.self)
}
if T.self == Bool.self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readBool() }, to: T.self)
}
if T.self == Double.self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readDouble() }, to: T.self)
}
return try readUncommon(T.self, depth)
}
private mutating func readUncommon<T>(_: T.Type, _ depth: Int) throws(CBORUncommon) -> T {
if T.self == [String].self {
return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readText() }, to: T.self)
}
if T.self == [Int].self {
return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readInteger(Int.self) }, to: T.self)
}
if T.self == [Double].self {
return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readDouble() }, to: T.self)
}
if T.self == UInt64.self { return try integer(UInt64.self) }
if T.self == Int64.self { return try integer(Int64.self) }
if T.self == Int32.self { return try integer(Int32.self) }
if T.self == UInt32.self { return try integer(UInt32.self) }
if T.self == UInt8.self { return try integer(UInt8.self) }
if T.self == Float.self {
return unsafeBitCast(try common { (r) throws(CBORError) in try r.readFloat() }, to: T.self)
}
if T.self == ContiguousArray<UInt8>.self {
let bytes = try common { (r) throws(CBORError) in ContiguousArray(try r.readBytes()) }
return unsafeBitCast(bytes, to: T.self)
}
throw CBORUncommon()
}
@inline(__always)
private mutating func common<R>(
_ body: (inout CBORReader) throws(CBORError) -> R
) throws(CBORUncommon) -> R {
do throws(CBORError) {
return try body(&self)
} catch {
throw CBORUncommon()
}
}
@inline(__always)
private mutating func integer<I: FixedWidthInteger, T>(_ type: I.Type) throws(CBORUncommon) -> T {
unsafeBitCast(try common { (r) throws(CBORError) in try r.readInteger(type) }, to: T.self)
}
@inline(__always)
private mutating func array<Element>(
_ depth: Int, _ element: (inout CBORReader) throws(CBORError) -> Element
) throws(CBORUncommon) -> [Element] {
guard depth < maximumDepth else { throw CBORUncommon() }
let start = offset
do throws(CBORError) {
var result: [Element] = []
if let count = try readArrayHead() {
result.reserveCapacity(min(count, 4096))
for _ in 0..<count { result.append(try element(&self)) }
} else {
while !readBreak() { result.append(try element(&self)) }
}
return result
} catch {
offset = start
throw CBORUncommon()
}
}
}
"""###
),
(
"CBORDocument.swift",
###"""
final class CBORDocument {
private(set) var base: UnsafeRawPointer
let count: Int
let limits: CBORLimits
private let givenUserInfo: [CodingUserInfoKey: any Sendable]
private let source: (any CBORUserInfoSource)?
private var copy: UnsafeMutableRawPointer?
init(
_ bytes: UnsafeRawBufferPointer, limits: CBORLimits, userInfo: [CodingUserInfoKey: any Sendable],
source: (any CBORUserInfoSource)?
) {
let reader = CBORReader(bytes, limits: limits)
self.base = reader.base
self.count = reader.count
self.limits = limits
givenUserInfo = userInfo
self.source = source
}
var userInfo: [CodingUserInfoKey: any Sendable] {
guard let source else { return givenUserInfo }
return givenUserInfo.merging(source.userInfo) { given, _ in given }
}
deinit {
copy?.deallocate()
}
@inline(__always)
func reader(at offset: Int) -> CBORReader {
CBORReader(base: base, count: count, offset: offset, maximumDepth: limits.maximumDepth)
}
func keepCopy() {
let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 1)
copy.copyMemory(from: base, byteCount: count)
self.copy = copy
base = UnsafeRawPointer(copy)
}
}
"""###
),
(
"CBOREncoder.swift",
###"""
package struct CBOREncoder: Sendable {
package var limits: CBORLimits
package var userInfo = [CodingUserInfoKey: any Sendable]()
package init(limits: CBORLimits = .default) {
self.limits = limits
}
package func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
var buffer: [UInt8] = []
try encode(value, into: &buffer)
return buffer
}
package func encode<T: Encodable>(_ value: T, into buffer: inout [UInt8]) throws {
let start = buffer.count
var writer = CBORWriter()
swap(&writer.bytes, &buffer)
defer { swap(&writer.bytes, &buffer) }
do {
if limits.maximumDepth < 1 || !writer.writeCommon(value) {
if writer.bytes.capacity - start < 64 { writer.bytes.reserveCapacity(start + 128) }
try encodeSlowly(value, &writer)
}
guard writer.bytes.count - start <= limits.maximumByteCount else {
throw EncodingError.invalidValue(
value,
.init(
codingPath: [],
debugDescription: "The encoded value has \(writer.bytes.count - start) bytes, more than the "
+ "limit of \(limits.maximumByteCount)."
)
)
}
} catch {
writer.bytes.removeLast(writer.bytes.count - start)
throw error
}
}
private func encodeSlowly<T: Encodable>(_ value: T, _ writer: inout CBORWriter) throws {
let sink = CBOREncodingSink(limits: limits, userInfo: userInfo)
sink.start(with: &writer.bytes)
defer { sink.finish(giving: &writer.bytes) }
do {
try value.encode(to: CBORValueEncoder(sink: sink, start: sink.base, depth: 0))
} catch {
throw sink.failure ?? error
}
if sink.writer.bytes.count == sink.base { sink.writer.writeMapHead(0) }
if !sink.late.isEmpty { sink.splice(from: 0) }
if let failure = sink.failure { throw failure }
}
}
extension CBORWriter {
@inline(__always)
mutating func writeCommon<T>(_ value: T) -> Bool {
if T.self == String.self {
write(unsafeBitCast(value, to: String.self))
} else if T.self == Int.self {
write(unsafeBitCast(value, to: Int.self))
} else if T.self == [UInt8].self {
write(bytes: unsafeBitCast(value, to: [UInt8].self))
} else if T.self == Bool.self {
write(unsafeBitCast(value, to: Bool.self))
} else if T.self == Double.self {
write(unsafeBitCast(value, to: Double.self))
} else {
return writeUncommon(value)
}
return true
}
private mutating func writeUncommon<T>(_ value: T) -> Bool {
if T.self == [String].self {
let items = unsafeBitCast(value, to: [String].self)
writeArrayHead(items.count)
for item in items { write(item) }
} else if T.self == [Int].self {
let items = unsafeBitCast(value, to: [Int].self)
writeArrayHead(items.count)
for item in items { write(item) }
} else if T.self == [Double].self {
let items = unsafeBitCast(value, to: [Double].self)
writeArrayHead(items.count)
for item in items { write(item) }
} else if T.self == UInt64.self {
write(unsafeBitCast(value, to: UInt64.self))
} else if T.self == Int64.self {
write(unsafeBitCast(value, to: Int64.self))
} else if T.self == Int32.self {
write(Int(unsafeBitCast(value, to: Int32.self)))
} else if T.self == UInt32.self {
write(UInt64(unsafeBitCast(value, to: UInt32.self)))
} else if T.self == UInt8.self {
write(UInt64(unsafeBitCast(value, to: UInt8.self)))
} else if T.self == Float.self {
write(unsafeBitCast(value, to: Float.self))
} else if T.self == ContiguousArray<UInt8>.self {
unsafeBitCast(value, to: ContiguousArray<UInt8>.self).withUnsafeBytes { write(bytes: $0) }
} else {
return false
}
return true
}
}
package protocol FrameEncoder: Encoder {}
"""###
),
(
"CBOREncodingSink+Heads.swift",
###"""
extension CBOREncodingSink {
func readHead(_ start: Int) -> (count: Int, width: Int) {
let short = writer.bytes[start] & 0x1f
guard short >= 24 else { return (Int(short), 1) }
let width = 1 << Int(short - 24)
var count = 0
for byte in writer.bytes[(start + 1)...].prefix(width) { count = count << 8 | Int(byte) }
return (count, width + 1)
}
static func makeHead(_ initial: UInt8, _ count: Int) -> [UInt8] {
var head = CBORWriter()
head.writeHead(initial >> 5, UInt64(count))
return head.bytes
}
@inline(never)
func countInLongHead(_ start: Int) {
if writer.bytes[start] >> 5 == 2 { expandBytes(start) }
let head = readHead(start)
replaceHead(start, width: head.width, count: head.count + 1)
}
func replaceHead(_ start: Int, width: Int, count: Int) {
let new = Self.makeHead(writer.bytes[start], count)
let growth = new.count - width
guard growth != 0 else {
for index in new.indices { writer.bytes[start + index] = new[index] }
return
}
writer.bytes.replaceSubrange(start..<start + width, with: new)
for index in late.indices where late[index].head > start {
late[index].head += growth
late[index].end += growth
}
}
func appendBytes(_ content: UnsafeRawBufferPointer, to start: Int) {
let head = readHead(start)
let major = writer.bytes[start] >> 5
if major == 2 || head.count == 0 {
writer.bytes[start] = writer.bytes[start] & 0x1f | 0x40
replaceHead(start, width: head.width, count: head.count + content.count)
writer.bytes.append(contentsOf: content)
} else {
for byte in content { writer.write(UInt64(byte)) }
replaceHead(start, width: head.width, count: head.count + content.count)
}
}
func expandBytes(_ start: Int) {
let head = readHead(start)
let content = start + head.width..<start + head.width + head.count
var array = CBORWriter()
array.writeArrayHead(head.count)
for byte in writer.bytes[content] { array.write(UInt64(byte)) }
writer.bytes.replaceSubrange(start..<content.upperBound, with: array.bytes)
}
}
"""###
),
(
"CBOREncodingSink+Late.swift",
###"""
extension CBOREncodingSink {
struct LateContainer {
var id: Int
var head: Int
var end: Int
var path: [any CodingKey]
var sink: CBOREncodingSink?
}
@inline(never)
func reopen(_ start: Int) throws -> (sink: CBOREncodingSink, start: Int) {
var depth = frames.count
while depth > 0, frames[depth - 1].isNested, frames[depth - 1].start != start { depth -= 1 }
if top >= 0, start == (depth == 0 ? base : frames[depth - 1].start) {
closeFrames(above: depth)
top = start
return (self, start)
}
guard let index = late.lastIndex(where: { $0.id == start }) else {
throw misuse("A container was written to after its value had been encoded.", start, 0)
}
if let sink = late[index].sink { return try sink.open(0) }
let sink = CBOREncodingSink(
limits: limits, userInfo: userInfo, basePath: late[index].path,
baseDepth: baseDepth + late[index].path.count - basePath.count
)
sink.writer.bytes = [writer.bytes[late[index].head] & 0xe0]
late[index].sink = sink
return (sink, 0)
}
private func closeFrames(above depth: Int) {
if let last = frames.last, frames.count > depth, writer.bytes[last.start] >> 5 == 2 { expandBytes(last.start) }
while frames.count > depth {
let path = basePath + frames.compactMap(\.step.codingKey)
let frame = frames.removeLast()
late.append(
LateContainer(id: frame.start, head: frame.start, end: writer.bytes.count, path: path, sink: nil)
)
}
}
func makeSuperEncoder(
in outer: Int, depth: Int, step: CBORPathStep, key: (inout CBORWriter) -> Void
) -> CBORValueEncoder {
let path = path(outer, depth) + [step.codingKey ?? CBORCodingKey.super]
let sink = CBOREncodingSink(
limits: limits, userInfo: userInfo, basePath: path,
baseDepth: baseDepth + path.count - basePath.count
)
do {
let (target, home) = try open(outer)
key(&target.writer)
target.countElement(home)
let place = target.writer.bytes.count
target.writer.bytes.append(0xa0)
target.late.append(LateContainer(id: -1, head: place, end: place + 1, path: [], sink: sink))
} catch {
failure = failure ?? error
}
return CBORValueEncoder(sink: sink, start: 0, depth: 0)
}
func elementCount(_ start: Int) -> Int {
if top != start, let closed = late.last(where: { $0.id == start }) {
return readHead(closed.head).count + (closed.sink?.readHead(0).count ?? 0)
}
return start < writer.bytes.count ? readHead(start).count : 0
}
func splice(from mark: Int) {
var edits: [Edit] = []
for item in late[mark...] {
guard let sink = item.sink else { continue }
if !sink.late.isEmpty { sink.splice(from: 0) }
failure = failure ?? sink.failure
let content = sink.writer.bytes
if item.id < 0 {
guard !content.isEmpty else { continue }
edits.append(Edit(range: item.head..<item.end, owner: item.head, bytes: content[...]))
} else {
if content[0] >> 5 == 2 { sink.expandBytes(0) }
let old = readHead(item.head)
let new = sink.readHead(0)
let head = Self.makeHead(writer.bytes[item.head], old.count + new.count)
edits.append(Edit(range: item.head..<item.head + old.width, owner: item.head, bytes: head[...]))
let rest = sink.writer.bytes.dropFirst(new.width)
edits.append(Edit(range: item.end..<item.end, owner: item.head, bytes: rest))
}
}
late.removeLast(late.count - mark)
guard !edits.isEmpty else { return }
edits.sort(by: Edit.precedes)
var result = Array(writer.bytes[..<edits[0].range.lowerBound])
var position = result.count
for edit in edits {
result += writer.bytes[position..<edit.range.lowerBound]
result += edit.bytes
position = edit.range.upperBound
}
result += writer.bytes[position...]
writer.bytes = result
}
private struct Edit {
var range: Range<Int>
var owner: Int
var bytes: ArraySlice<UInt8>
static func precedes(_ a: Edit, _ b: Edit) -> Bool {
if a.range.lowerBound != b.range.lowerBound { return a.range.lowerBound < b.range.lowerBound }
if a.range.isEmpty != b.range.isEmpty { return a.range.isEmpty }
return a.owner > b.owner
}
}
}
"""###
),
(
"CBOREncodingSink.swift",
###"""
final class CBOREncodingSink {
struct Frame {
var start: Int
var step: CBORPathStep
var isNested: Bool
}
@exclusivity(unchecked) var writer = CBORWriter()
@exclusivity(unchecked) var top = 0
@exclusivity(unchecked) var frames: [Frame] = []
@exclusivity(unchecked) var late: [LateContainer] = []
@exclusivity(unchecked) var failure: (any Error)?
@exclusivity(unchecked) private(set) var base = 0
let limits: CBORLimits
let userInfo: [CodingUserInfoKey: any Sendable]
let basePath: [any CodingKey]
let baseDepth: Int
init(
limits: CBORLimits, userInfo: [CodingUserInfoKey: any Sendable], basePath: [any CodingKey] = [],
baseDepth: Int = 0
) {
self.limits = limits
self.userInfo = userInfo
self.basePath = basePath
self.baseDepth = baseDepth
}
func start(with bytes: inout [UInt8]) {
swap(&writer.bytes, &bytes)
base = writer.bytes.count
top = base
}
func finish(giving bytes: inout [UInt8]) {
swap(&writer.bytes, &bytes)
top = -1
frames = []
late = []
}
@inline(__always)
func open(_ start: Int) throws -> (sink: CBOREncodingSink, start: Int) {
if top == start { return (self, start) }
return try reopen(start)
}
func encodeNested<T: Encodable>(_ value: T, step: CBORPathStep, mark: Int) throws {
let parent = top
let frameMark = frames.count
let lateMark = late.count
do {
let start = writer.bytes.count
frames.append(Frame(start: start, step: step, isNested: false))
guard baseDepth + frames.count <= limits.maximumDepth else { throw tooDeep(value) }
top = start
try value.encode(to: CBORValueEncoder(sink: self, start: start, depth: frames.count))
if writer.bytes.count == start { writer.bytes.append(0xa0) }
if late.count > lateMark { splice(from: lateMark) }
} catch {
writer.bytes.removeLast(writer.bytes.count - mark)
late.removeLast(late.count - lateMark)
frames.removeLast(frames.count - frameMark)
top = parent
throw error
}
if frames.count == frameMark + 1 {
frames.removeLast()
} else {
frames.removeLast(frames.count - frameMark)
}
top = parent
}
@inline(__always)
func countElement(_ start: Int) {
let head = writer.bytes[start]
if head >= 0x80, head & 0x1f < 23 {
writer.bytes[start] = head &+ 1
} else {
countInLongHead(start)
}
}
typealias Place = (sink: CBOREncodingSink, start: Int, depth: Int)
func openContainer(_ start: Int, depth: Int, head: UInt8) -> Place {
if top == start, writer.bytes.count == start {
guard baseDepth + depth < limits.maximumDepth else { return fail(tooDeep(nil), head: head) }
writer.bytes.append(head)
} else if start >= writer.bytes.count || writer.bytes[start] & 0xe0 != head {
return fail(misuse("A container was asked for where a value had been encoded.", start, depth), head: head)
}
return (self, start, depth)
}
func openNested(in outer: Int, head: UInt8, step: CBORPathStep, key: (inout CBORWriter) -> Void) -> Place {
do {
let (sink, home) = try open(outer)
guard sink.canNest else { throw sink.tooDeep(nil) }
key(&sink.writer)
sink.countElement(home)
let start = sink.writer.bytes.count
sink.writer.bytes.append(head)
sink.frames.append(Frame(start: start, step: step, isNested: true))
sink.top = start
return (sink, start, sink.frames.count)
} catch {
return fail(error, head: head)
}
}
@inline(__always)
var canNest: Bool { baseDepth + frames.count + 1 < limits.maximumDepth }
func fail(_ error: any Error, head: UInt8) -> Place {
failure = failure ?? error
let sink = CBOREncodingSink(
limits: limits, userInfo: userInfo, basePath: basePath, baseDepth: limits.maximumDepth
)
sink.writer.bytes = [head]
return (sink, 0, 0)
}
func misuse(_ text: String, _ start: Int, _ depth: Int) -> EncodingError {
EncodingError.invalidValue(
Optional<Int>.none as Any, .init(codingPath: path(start, depth), debugDescription: text)
)
}
func tooDeep(_ value: Any?) -> EncodingError {
EncodingError.invalidValue(
value as Any,
.init(
codingPath: basePath + frames.compactMap(\.step.codingKey),
debugDescription: "The value is nested deeper than the limit of \(limits.maximumDepth)."
)
)
}
func path(_ start: Int, _ depth: Int) -> [any CodingKey] {
if depth > 0, depth > frames.count || frames[depth - 1].start != start,
let closed = late.last(where: { $0.id == start })
{
return closed.path
}
return basePath + frames.prefix(depth).compactMap(\.step.codingKey)
}
}
"""###
),
(
"CBORError.swift",
###"""
package struct CBORError: Error, Hashable, CustomStringConvertible {
package enum Reason: Hashable, Sendable {
case truncated
case malformed
case unexpectedBreak
case invalidUTF8
case mismatch(found: CBORKind)
case outOfRange
case tooDeep
case tooLarge
case duplicateKey
case chunkedKey
case trailingBytes
}
package var reason: Reason
package var offset: Int
package init(_ reason: Reason, at offset: Int) {
self.reason = reason
self.offset = offset
}
package var description: String {
"\(summary) at byte \(offset)"
}
private var summary: String {
switch reason {
case .truncated: "the input ends inside an item"
case .malformed: "malformed CBOR"
case .unexpectedBreak: "a break code outside an indefinite-length item"
case .invalidUTF8: "text that is not UTF-8"
case .mismatch(let found): "found \(found)"
case .outOfRange: "a number that does not fit"
case .tooDeep: "nesting beyond the limit"
case .tooLarge: "more bytes than the limit"
case .duplicateKey: "a duplicate map key"
case .chunkedKey: "a map key of indefinite length"
case .trailingBytes: "bytes after the end of the value"
}
}
}
package enum CBORKind: String, Hashable, Sendable, CustomStringConvertible {
case unsigned = "an unsigned integer"
case negative = "a negative integer"
case bytes = "a byte string"
case text = "a text"
case array = "an array"
case map = "a map"
case tag = "a tag"
case bool = "a boolean"
case null = "null"
case undefined = "undefined"
case simple = "a simple value"
case float = "a floating-point number"
case breakCode = "a break code"
package var description: String { rawValue }
package init(initialByte byte: UInt8) {
switch byte >> 5 {
case 0: self = .unsigned
case 1: self = .negative
case 2: self = .bytes
case 3: self = .text
case 4: self = .array
case 5: self = .map
case 6: self = .tag
default:
switch byte {
case 0xf4, 0xf5: self = .bool
case 0xf6: self = .null
case 0xf7: self = .undefined
case 0xf9, 0xfa, 0xfb: self = .float
case 0xff: self = .breakCode
default: self = .simple
}
}
}
}
"""###
),
(
"CBORFloat.swift",
###"""
enum CBORFloat {
static func single(_ value: Double) -> UInt32? {
if value.isNaN {
let bits = value.bitPattern
guard bits & 0x1fff_ffff == 0 else { return nil }
return UInt32(truncatingIfNeeded: bits >> 32) & 0x8000_0000 | 0x7f80_0000
| UInt32(truncatingIfNeeded: bits >> 29) & 0x007f_ffff
}
let narrow = Float(value)
return Double(narrow) == value ? narrow.bitPattern : nil
}
static func half(_ bits: UInt32) -> UInt16? {
let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
let exponent = Int(bits >> 23) & 0xff
let fraction = bits & 0x007f_ffff
switch exponent {
case 0:
return fraction == 0 ? sign : nil
case 255, 113...142:
guard fraction & 0x1fff == 0 else { return nil }
let narrow = exponent == 255 ? 31 : UInt16(exponent - 112)
return sign | narrow << 10 | UInt16(fraction >> 13)
case 103...112:
let shift = UInt32(126 - exponent)
let whole = fraction | 0x0080_0000
guard whole & (1 << shift - 1) == 0 else { return nil }
return sign | UInt16(whole >> shift)
default:
return nil
}
}
static func widen(half bits: UInt16) -> UInt32 {
let sign = UInt32(bits & 0x8000) << 16
let exponent = UInt32(bits >> 10) & 0x1f
let fraction = UInt32(bits & 0x3ff)
switch exponent {
case 0:
return sign | (Float(fraction) * 0x1p-24).bitPattern
case 31:
return sign | 0x7f80_0000 | fraction << 13
default:
return sign | (exponent + 112) << 23 | fraction << 13
}
}
static func widen(single bits: UInt32) -> Double {
guard bits & 0x7f80_0000 == 0x7f80_0000 else { return Double(Float(bitPattern: bits)) }
let sign = UInt64(bits & 0x8000_0000) << 32
return Double(bitPattern: sign | 0x7ff0_0000_0000_0000 | UInt64(bits & 0x007f_ffff) << 29)
}
static func narrow(_ value: Double) -> Float? {
if value.isNaN {
let top = UInt32(truncatingIfNeeded: value.bitPattern >> 32) & 0x8000_0000
let payload = UInt32(truncatingIfNeeded: value.bitPattern >> 29) & 0x007f_ffff
return Float(bitPattern: top | 0x7f80_0000 | (payload == 0 ? 0x0040_0000 : payload))
}
let result = Float(value)
return result.isInfinite && value.isFinite ? nil : result
}
}
"""###
),
(
"CBORKeyedDecodingContainer.swift",
###"""
struct CBORKeyedDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
let decoder: CBORValueDecoder
let index: CBORMapIndex
var codingPath: [any CodingKey] { decoder.codingPath }
var allKeys: [Key] {
index.entries.compactMap { entry in
var reader = decoder.document.reader(at: Int(entry.keyStart))
switch entry.kind {
case .text:
let name = UnsafeRawBufferPointer(start: reader.base + reader.offset, count: Int(entry.keyCount))
return Key(stringValue: String(decoding: name, as: UTF8.self))
case .integer:
return (try? reader.readInteger(Int.self)).flatMap { Key(intValue: $0) }
case .other:
return nil
}
}
}
@inline(__always)
private func find(_ key: some CodingKey) -> Int? {
index.find(key, decoder.document.base)
}
@inline(__always)
private func require(_ key: some CodingKey) throws -> Int {
guard let offset = find(key) else { throw missing(key) }
return offset
}
@inline(never)
private func missing(_ key: some CodingKey) -> DecodingError {
.keyNotFound(
key,
.init(codingPath: codingPath, debugDescription: "The map at byte \(decoder.start) has no key \(key).")
)
}
@inline(__always)
private func isNil(_ offset: Int) -> Bool {
var reader = decoder.document.reader(at: offset)
return (try? reader.skipTags()) != nil && reader.readNull()
}
@inline(__always)
private func present(_ key: Key) -> Int? {
guard let offset = find(key), !isNil(offset) else { return nil }
return offset
}
@inline(__always)
private func read<R>(
_ type: R.Type, _ key: Key, _ offset: Int, _ body: (inout CBORReader) throws(CBORError) -> R
) throws -> R {
try decoder.read(offset, type, .key(key), body).0
}
@inline(__always)
private func integer<I: FixedWidthInteger>(_ type: I.Type, _ key: Key) throws -> I {
try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readInteger(type) }
}
@inline(__always)
private func value<T: Decodable>(_ type: T.Type, _ key: Key, _ offset: Int) throws -> T {
var end = -1
return try decoder.decode(type, at: offset, depth: decoder.depth + 1, end: &end, .key(key))
}
private func nested(_ key: some CodingKey) throws -> CBORValueDecoder {
CBORValueDecoder(in: decoder, .key(key), start: try require(key), depth: decoder.depth + 1)
}
func contains(_ key: Key) -> Bool { find(key) != nil }
func decodeNil(forKey key: Key) throws -> Bool { isNil(try require(key)) }
func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readBool() }
}
func decode(_ type: String.Type, forKey key: Key) throws -> String {
try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readText() }
}
func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readDouble() }
}
func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readFloat() }
}
func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try integer(type, key) }
func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try integer(type, key) }
func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try integer(type, key) }
func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try integer(type, key) }
func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try integer(type, key) }
func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try integer(type, key) }
func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try integer(type, key) }
func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try integer(type, key) }
func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try integer(type, key) }
func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try integer(type, key) }
func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try integer(type, key) }
func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try integer(type, key) }
func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
try value(type, key, require(key))
}
func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
try present(key).map { try value(type, key, $0) }
}
func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
try present(key).map { try value(type, key, $0) }
}
func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
try present(key).map { try value(type, key, $0) }
}
func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
try present(key).map { try value(type, key, $0) }
}
func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
try present(key).map { try value(type, key, $0) }
}
func nestedContainer<NestedKey: CodingKey>(
keyedBy: NestedKey.Type, forKey key: Key
) throws -> KeyedDecodingContainer<NestedKey> {
KeyedDecodingContainer(try nested(key).makeKeyed())
}
func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
try nested(key).unkeyedContainer()
}
func superDecoder() throws -> any Decoder { try nested(CBORCodingKey.super) }
func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
}
"""###
),
(
"CBORKeyedEncodingContainer.swift",
###"""
struct CBORKeyedEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
let sink: CBOREncodingSink
let start: Int
let depth: Int
var codingPath: [any CodingKey] { sink.path(start, depth) }
@inline(__always)
private func write(_ key: Key, _ body: (inout CBORWriter) -> Void) throws {
let (sink, home) = try sink.open(start)
sink.writer.write(key.stringValue)
body(&sink.writer)
sink.countElement(home)
}
func encodeNil(forKey key: Key) throws { try write(key) { $0.writeNull() } }
func encode(_ value: Bool, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: String, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: Double, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: Float, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: Int, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: Int8, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
func encode(_ value: Int16, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
func encode(_ value: Int32, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
func encode(_ value: Int64, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: Int128, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: UInt, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
func encode(_ value: UInt8, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
func encode(_ value: UInt16, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
func encode(_ value: UInt32, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
func encode(_ value: UInt64, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode(_ value: UInt128, forKey key: Key) throws { try write(key) { $0.write(value) } }
func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
let (sink, home) = try sink.open(start)
let mark = sink.writer.bytes.count
sink.writer.write(key.stringValue)
if !sink.canNest || !sink.writer.writeCommon(value) {
try sink.encodeNested(value, step: .key(key), mark: mark)
}
sink.countElement(home)
}
func nestedContainer<NestedKey: CodingKey>(
keyedBy: NestedKey.Type, forKey key: Key
) -> KeyedEncodingContainer<NestedKey> {
let nested = sink.openNested(in: start, head: 0xa0, step: .key(key)) { $0.write(key.stringValue) }
return KeyedEncodingContainer(
CBORKeyedEncodingContainer<NestedKey>(sink: nested.sink, start: nested.start, depth: nested.depth)
)
}
func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
let nested = sink.openNested(in: start, head: 0x80, step: .key(key)) { $0.write(key.stringValue) }
return CBORUnkeyedEncodingContainer(sink: nested.sink, start: nested.start, depth: nested.depth)
}
func superEncoder() -> any Encoder {
sink.makeSuperEncoder(in: start, depth: depth, step: .key(CBORCodingKey.super)) { $0.write("super") }
}
func superEncoder(forKey key: Key) -> any Encoder {
sink.makeSuperEncoder(in: start, depth: depth, step: .key(key)) { $0.write(key.stringValue) }
}
}
"""###
),
(
"CBORLimits.swift",
###"""
package struct CBORLimits: Sendable, Hashable {
package var maximumDepth: Int
package var maximumByteCount: Int
package init(maximumDepth: Int = 64, maximumByteCount: Int = 64 << 20) {
self.maximumDepth = maximumDepth
self.maximumByteCount = min(maximumByteCount, Int(UInt32.max))
}
package static let `default` = CBORLimits()
}
"""###
),
(
"CBORMapIndex.swift",
###"""
struct CBORMapIndex {
enum KeyKind: UInt8 {
case text, integer, other
}
struct Entry {
var keyStart: UInt32
var keyCount: UInt32
var value: UInt32
var kind: KeyKind
}
private(set) var entries: [Entry] = []
private var sorted: [UInt32] = []
private(set) var hasIntegerKeys = false
private static let few = 12
init(_ reader: inout CBORReader, depth: Int) throws(CBORError) {
let start = reader.offset
guard depth < reader.maximumDepth else { throw CBORError(.tooDeep, at: start) }
if let count = try reader.readMapHead() {
entries.reserveCapacity(min(count, 64))
for _ in 0..<count { try add(&reader, depth + 1) }
} else {
while !reader.readBreak() { try add(&reader, depth + 1) }
}
if entries.count > Self.few { try sort(reader.base) }
}
@inline(__always)
private mutating func add(_ reader: inout CBORReader, _ depth: Int) throws(CBORError) {
let start = reader.offset
var entry = Entry(keyStart: 0, keyCount: 0, value: 0, kind: .text)
guard let first = reader.peek else { throw CBORError(.truncated, at: start) }
if first >> 5 == 3 {
guard let piece = try reader.readPiece(3) else { throw CBORError(.chunkedKey, at: start) }
guard CBORReader.isASCII(piece) || CBORReader.makeText(piece) != nil else {
throw CBORError(.invalidUTF8, at: start)
}
entry.keyCount = UInt32(truncatingIfNeeded: piece.count)
entry.keyStart = UInt32(truncatingIfNeeded: reader.offset &- piece.count)
} else {
if first == 0xff { throw CBORError(.unexpectedBreak, at: start) }
entry.kind = first >> 5 <= 1 ? .integer : .other
if entry.kind == .integer { hasIntegerKeys = true }
try reader.skipItem(depth)
entry.keyStart = UInt32(truncatingIfNeeded: start)
entry.keyCount = UInt32(truncatingIfNeeded: reader.offset &- start)
}
entry.value = UInt32(truncatingIfNeeded: reader.offset)
try reader.skipItem(depth)
if entries.count < Self.few {
for other in entries where other.keyCount == entry.keyCount || entry.kind == .integer {
if Self.compare(other, entry, reader.base) == 0 { throw CBORError(.duplicateKey, at: start) }
}
}
entries.append(entry)
}
private mutating func sort(_ base: UnsafeRawPointer) throws(CBORError) {
sorted = Array(0..<UInt32(entries.count))
let entries = entries
sorted.sort { Self.compare(entries[Int($0)], entries[Int($1)], base) < 0 }
for (a, b) in zip(sorted, sorted.dropFirst())
where Self.compare(entries[Int(a)], entries[Int(b)], base) == 0 {
throw CBORError(.duplicateKey, at: Int(max(entries[Int(a)].keyStart, entries[Int(b)].keyStart)))
}
}
func find(_ key: some CodingKey, _ base: UnsafeRawPointer) -> Int? {
var name = key.stringValue
let found = name.withUTF8 { utf8 in
search { entry in
guard entry.kind == .text else { return 1 }
return Self.compare(
base + Int(entry.keyStart), Int(entry.keyCount),
UnsafeRawPointer(utf8.baseAddress) ?? base, utf8.count
)
}
}
if found != nil || !hasIntegerKeys { return found }
guard let number = key.intValue else { return nil }
return search { entry in
switch entry.kind {
case .text: return -1
case .other: return 1
case .integer:
let (isNegative, magnitude) = Self.integer(entry, base)
let wanted = UInt64(bitPattern: Int64(number < 0 ? ~number : number))
return Self.order((isNegative, magnitude), (number < 0, wanted))
}
}
}
@inline(__always)
private func search(_ compare: (Entry) -> Int) -> Int? {
if sorted.isEmpty {
for entry in entries where compare(entry) == 0 { return Int(entry.value) }
return nil
}
var low = 0
var high = sorted.count
while low < high {
let middle = (low + high) / 2
let entry = entries[Int(sorted[middle])]
let order = compare(entry)
if order == 0 { return Int(entry.value) }
if order < 0 { low = middle + 1 } else { high = middle }
}
return nil
}
@inline(__always)
private static func compare(_ a: Entry, _ b: Entry, _ base: UnsafeRawPointer) -> Int {
if a.kind != b.kind { return Int(a.kind.rawValue) - Int(b.kind.rawValue) }
if a.kind == .integer { return order(integer(a, base), integer(b, base)) }
return compare(base + Int(a.keyStart), Int(a.keyCount), base + Int(b.keyStart), Int(b.keyCount))
}
private static func integer(_ entry: Entry, _ base: UnsafeRawPointer) -> (isNegative: Bool, magnitude: UInt64) {
let start = Int(entry.keyStart)
var reader = CBORReader(base: base, count: start + Int(entry.keyCount), offset: start, maximumDepth: 0)
guard let head = try? reader.readHead() else { return (false, 0) }
return (head.major == 1, head.argument)
}
private static func order(_ a: (Bool, UInt64), _ b: (Bool, UInt64)) -> Int {
if a.0 != b.0 { return a.0 ? 1 : -1 }
return a.1 == b.1 ? 0 : a.1 < b.1 ? -1 : 1
}
@inline(__always)
private static func compare(_ a: UnsafeRawPointer, _ aCount: Int, _ b: UnsafeRawPointer, _ bCount: Int) -> Int {
if aCount != bCount { return aCount - bCount }
var index = 0
while index &+ 8 <= aCount {
let x = a.loadUnaligned(fromByteOffset: index, as: UInt64.self)
let y = b.loadUnaligned(fromByteOffset: index, as: UInt64.self)
if x != y { return x.bigEndian < y.bigEndian ? -1 : 1 }
index &+= 8
}
while index < aCount {
let x = a.load(fromByteOffset: index, as: UInt8.self)
let y = b.load(fromByteOffset: index, as: UInt8.self)
if x != y { return Int(x) - Int(y) }
index &+= 1
}
return 0
}
}
"""###
),
(
"CBORReader+Scalars.swift",
###"""
extension CBORReader {
@inline(__always)
package mutating func readInteger<I: FixedWidthInteger>(_: I.Type = I.self) throws(CBORError) -> I {
let start = offset
let head = try readHead()
if head.major == 0, let value = I(exactly: head.argument) { return value }
if head.major == 1, head.argument <= UInt64(Int64.max), let value = I(exactly: ~Int64(head.argument)) {
return value
}
offset = start
return try readUncommonInteger()
}
@inline(never)
private mutating func readUncommonInteger<I: FixedWidthInteger>() throws(CBORError) -> I {
let start = offset
do throws(CBORError) {
let head = try readHead()
var magnitude = UInt128(head.argument)
var isNegative = head.major == 1
if head.major == 6, head.argument == 2 || head.argument == 3 {
isNegative = head.argument == 3
magnitude = 0
for byte in try readBytes() {
guard magnitude >> 120 == 0 else { throw CBORError(.outOfRange, at: start) }
magnitude = magnitude << 8 | UInt128(byte)
}
} else if head.major > 1 {
throw mismatch(head, at: start)
}
if !isNegative, let value = I(exactly: magnitude) { return value }
if isNegative, magnitude >> 127 == 0, let value = I(exactly: ~Int128(magnitude)) { return value }
throw CBORError(.outOfRange, at: start)
} catch {
offset = start
throw error
}
}
@inline(__always)
package mutating func readBool() throws(CBORError) -> Bool {
switch peek {
case 0xf5:
offset &+= 1
return true
case 0xf4:
offset &+= 1
return false
default:
throw mismatchAhead()
}
}
@inline(__always)
package mutating func readNull() -> Bool {
guard let byte = peek, byte == 0xf6 || byte == 0xf7 else { return false }
offset &+= 1
return true
}
package mutating func readDouble() throws(CBORError) -> Double {
let start = offset
let head = try readHead()
switch head.initial {
case 0xf9:
return CBORFloat.widen(single: CBORFloat.widen(half: UInt16(truncatingIfNeeded: head.argument)))
case 0xfa:
return CBORFloat.widen(single: UInt32(truncatingIfNeeded: head.argument))
case 0xfb:
return Double(bitPattern: head.argument)
default:
offset = start
guard head.major == 0 || head.major == 1 else { throw mismatch(head, at: start) }
let integer = try readInteger(Int128.self)
if let value = Double(exactly: integer) { return value }
offset = start
throw CBORError(.outOfRange, at: start)
}
}
package mutating func readFloat() throws(CBORError) -> Float {
let start = offset
if let value = CBORFloat.narrow(try readDouble()) { return value }
offset = start
throw CBORError(.outOfRange, at: start)
}
@inline(never)
func mismatchAhead() -> CBORError {
var probe = self
do throws(CBORError) {
return mismatch(try probe.readHead(), at: offset)
} catch {
return error
}
}
}
"""###
),
(
"CBORReader+Skip.swift",
###"""
extension CBORReader {
package mutating func skip(depth: Int = 0) throws(CBORError) {
let start = offset
do throws(CBORError) {
try skipItem(depth)
} catch {
offset = start
throw error
}
}
mutating func skipItem(_ depth: Int) throws(CBORError) {
let start = offset
let head = try readHead()
switch head.major {
case 0, 1:
return
case 2, 3:
if head.isIndefinite {
try skipPieces(head.major)
} else {
guard head.argument <= UInt64(remaining) else { throw CBORError(.truncated, at: start) }
offset &+= Int(head.argument)
}
case 4, 5:
guard depth < maximumDepth else { throw CBORError(.tooDeep, at: start) }
if head.isIndefinite {
try skipToBreak(depth, isMap: head.major == 5)
} else {
let width = UInt64(head.major &- 3)
guard head.argument <= UInt64(remaining) / width else { throw CBORError(.truncated, at: start) }
for _ in 0..<head.argument &* width { try skipItem(depth &+ 1) }
}
case 6:
guard depth < maximumDepth else { throw CBORError(.tooDeep, at: start) }
try skipItem(depth &+ 1)
default:
if head.initial == 0xff { throw CBORError(.unexpectedBreak, at: start) }
}
}
private mutating func skipPieces(_ major: UInt8) throws(CBORError) {
while !readBreak() {
let place = offset
let head = try readHead()
guard head.major == major, !head.isIndefinite else { throw CBORError(.malformed, at: place) }
guard head.argument <= UInt64(remaining) else { throw CBORError(.truncated, at: place) }
offset &+= Int(head.argument)
}
}
private mutating func skipToBreak(_ depth: Int, isMap: Bool) throws(CBORError) {
while !readBreak() {
try skipItem(depth &+ 1)
if isMap { try skipItem(depth &+ 1) }
}
}
}
"""###
),
(
"CBORReader+Strings.swift",
###"""
extension CBORReader {
package mutating func readBytes() throws(CBORError) -> [UInt8] {
let start = offset
if let piece = try readPiece(2) { return [UInt8](piece) }
var result: [UInt8] = []
try readPieces(2, from: start) { (piece) throws(CBORError) in result.append(contentsOf: piece) }
return result
}
package mutating func readByteSlice() throws(CBORError) -> UnsafeRawBufferPointer {
let start = offset
if let piece = try readPiece(2) { return piece }
offset = start
throw CBORError(.mismatch(found: .bytes), at: start)
}
@inline(__always)
package mutating func readText() throws(CBORError) -> String {
let start = offset
if let piece = try readPiece(3) {
if let text = Self.makeText(piece) { return text }
offset = start
throw CBORError(.invalidUTF8, at: start)
}
return try readLongText(from: start)
}
static func makeText(_ utf8: UnsafeRawBufferPointer) -> String? {
guard isASCII(utf8) else { return String(validating: utf8, as: UTF8.self) }
return utf8.withMemoryRebound(to: UInt8.self) { String(decoding: $0, as: UTF8.self) }
}
@inline(__always)
static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
var index = 0
while index &+ 8 <= bytes.count {
if bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
index &+= 8
}
while index < bytes.count {
if bytes[index] >= 0x80 { return false }
index &+= 1
}
return true
}
@inline(never)
private mutating func readLongText(from start: Int) throws(CBORError) -> String {
var result = ""
try readPieces(3, from: start) { (piece) throws(CBORError) in
guard let text = Self.makeText(piece) else { throw CBORError(.invalidUTF8, at: start) }
result += text
}
return result
}
@inline(__always)
package mutating func readTextSlice() throws(CBORError) -> UnsafeRawBufferPointer {
let start = offset
if let piece = try readPiece(3) { return piece }
offset = start
throw CBORError(.mismatch(found: .text), at: start)
}
@inline(__always)
mutating func readPiece(_ major: UInt8) throws(CBORError) -> UnsafeRawBufferPointer? {
let start = offset
let head = try readHead()
guard head.major == major else {
offset = start
throw mismatch(head, at: start)
}
if head.isIndefinite { return nil }
guard head.argument <= UInt64(remaining) else {
offset = start
throw CBORError(.truncated, at: start)
}
let length = Int(head.argument)
let piece = UnsafeRawBufferPointer(start: base + offset, count: length)
offset &+= length
return piece
}
@inline(never)
private mutating func readPieces(
_ major: UInt8, from start: Int, _ body: (UnsafeRawBufferPointer) throws(CBORError) -> Void
) throws(CBORError) {
do throws(CBORError) {
while !readBreak() {
let place = offset
guard let piece = try readPiece(major) else { throw CBORError(.malformed, at: place) }
try body(piece)
}
} catch {
offset = start
guard case .mismatch = error.reason else { throw error }
throw CBORError(.malformed, at: error.offset)
}
}
}
"""###
),
(
"CBORReader.swift",
###"""
package struct CBORReader {
let base: UnsafeRawPointer
let count: Int
let maximumDepth: Int
package internal(set) var offset: Int
package init(_ bytes: UnsafeRawBufferPointer, limits: CBORLimits = .default) {
self.init(
base: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped,
count: bytes.count, offset: 0, maximumDepth: limits.maximumDepth
)
}
@inline(__always)
init(base: UnsafeRawPointer, count: Int, offset: Int, maximumDepth: Int) {
self.base = base
self.count = count
self.offset = offset
self.maximumDepth = maximumDepth
}
package static func read<R>(
_ bytes: [UInt8], limits: CBORLimits = .default, _ body: (inout CBORReader) throws -> R
) throws -> R {
guard bytes.count <= limits.maximumByteCount else { throw CBORError(.tooLarge, at: limits.maximumByteCount) }
return try bytes.withUnsafeBytes { buffer in
var reader = CBORReader(buffer, limits: limits)
let result = try body(&reader)
guard reader.isAtEnd else { throw CBORError(.trailingBytes, at: reader.offset) }
return result
}
}
package var isAtEnd: Bool { offset == count }
package var remaining: Int { count &- offset }
package struct Head {
package var initial: UInt8
package var argument: UInt64
package var major: UInt8 { initial >> 5 }
package var isIndefinite: Bool { initial & 0x1f == 31 }
}
@inline(__always)
package var peek: UInt8? {
offset < count ? base.load(fromByteOffset: offset, as: UInt8.self) : nil
}
package var nextKind: CBORKind? { peek.map(CBORKind.init(initialByte:)) }
@inline(__always)
package mutating func readHead() throws(CBORError) -> Head {
guard offset < count else { throw CBORError(.truncated, at: offset) }
let initial = base.load(fromByteOffset: offset, as: UInt8.self)
let short = initial & 0x1f
if short < 24 {
offset &+= 1
return Head(initial: initial, argument: UInt64(short))
}
return try readLongHead(initial)
}
@inline(never)
private mutating func readLongHead(_ initial: UInt8) throws(CBORError) -> Head {
let argument: UInt64
switch initial & 0x1f {
case 24:
argument = UInt64(try loadArgument(UInt8.self))
if initial == 0xf8, argument < 32 { throw CBORError(.malformed, at: offset) }
offset &+= 2
case 25:
argument = UInt64(try loadArgument(UInt16.self))
offset &+= 3
case 26:
argument = UInt64(try loadArgument(UInt32.self))
offset &+= 5
case 27:
argument = try loadArgument(UInt64.self)
offset &+= 9
case 31:
let major = initial >> 5
guard major != 0, major != 1, major != 6 else { throw CBORError(.malformed, at: offset) }
argument = 0
offset &+= 1
default:
throw CBORError(.malformed, at: offset)
}
return Head(initial: initial, argument: argument)
}
@inline(__always)
private func loadArgument<I: FixedWidthInteger>(_: I.Type) throws(CBORError) -> I {
guard count &- offset > MemoryLayout<I>.size else { throw CBORError(.truncated, at: offset) }
return I(bigEndian: base.loadUnaligned(fromByteOffset: offset &+ 1, as: I.self))
}
func mismatch(_ head: Head, at start: Int) -> CBORError {
if head.initial == 0xff { return CBORError(.unexpectedBreak, at: start) }
return CBORError(.mismatch(found: CBORKind(initialByte: head.initial)), at: start)
}
package mutating func readArrayHead() throws(CBORError) -> Int? {
try readContainerHead(4, bytesPerElement: 1)
}
package mutating func readMapHead() throws(CBORError) -> Int? {
try readContainerHead(5, bytesPerElement: 2)
}
@inline(__always)
private mutating func readContainerHead(_ major: UInt8, bytesPerElement: UInt64) throws(CBORError) -> Int? {
let start = offset
let head = try readHead()
guard head.major == major else {
offset = start
throw mismatch(head, at: start)
}
if head.isIndefinite { return nil }
guard head.argument <= UInt64(remaining) / bytesPerElement else {
offset = start
throw CBORError(.truncated, at: start)
}
return Int(head.argument)
}
package mutating func readBreak() -> Bool {
guard peek == 0xff else { return false }
offset &+= 1
return true
}
package mutating func readTag() throws(CBORError) -> UInt64 {
let start = offset
let head = try readHead()
guard head.major == 6 else {
offset = start
throw mismatch(head, at: start)
}
return head.argument
}
@inline(__always)
mutating func skipTags() throws(CBORError) {
if let first = peek, first >> 5 == 6 { try skipSomeTags() }
}
@inline(never)
private mutating func skipSomeTags() throws(CBORError) {
var skipped = 0
while let first = peek, first >> 5 == 6, first != 0xc2, first != 0xc3 {
skipped += 1
guard skipped <= maximumDepth else { throw CBORError(.tooDeep, at: offset) }
_ = try readHead()
}
}
}
"""###
),
(
"CBORUnkeyedDecodingContainer.swift",
###"""
struct CBORUnkeyedDecodingContainer: UnkeyedDecodingContainer {
private let decoder: CBORValueDecoder
private let elementCount: Int
private let isIndefinite: Bool
private let bytes: [UInt8]?
private var offset: Int
private(set) var currentIndex = 0
init(_ decoder: CBORValueDecoder) throws(CBORError) {
self.decoder = decoder
var reader = decoder.document.reader(at: decoder.start)
try reader.skipTags()
guard decoder.depth < reader.maximumDepth else { throw CBORError(.tooDeep, at: reader.offset) }
if let first = reader.peek, first >> 5 == 2 {
let content = try reader.readBytes()
bytes = content
elementCount = content.count
isIndefinite = false
offset = reader.offset
decoder.end = offset
return
}
bytes = nil
if let count = try reader.readArrayHead() {
elementCount = count
isIndefinite = false
offset = reader.offset
} else {
offset = reader.offset
var count = 0
while !reader.readBreak() {
try reader.skipItem(decoder.depth + 1)
count += 1
}
elementCount = count
isIndefinite = true
}
if elementCount == 0 { decoder.end = reader.offset }
}
var codingPath: [any CodingKey] { decoder.codingPath }
var count: Int? { elementCount }
var isAtEnd: Bool { currentIndex >= elementCount }
@inline(__always)
private func checkNotAtEnd(_ type: Any.Type) throws {
if isAtEnd { throw atEnd(type) }
}
@inline(never)
private func atEnd(_ type: Any.Type) -> DecodingError {
.valueNotFound(
type,
.init(
codingPath: codingPath + [CBORCodingKey(index: currentIndex)],
debugDescription: "The array at byte \(decoder.start) has only \(elementCount) elements."
)
)
}
@inline(__always)
private mutating func advance(to end: Int) {
currentIndex += 1
offset = end
if isAtEnd { decoder.end = isIndefinite ? end + 1 : end }
}
@inline(__always)
private mutating func read<R>(
_ type: R.Type, _ body: (inout CBORReader) throws(CBORError) -> R
) throws -> R {
try checkNotAtEnd(type)
if bytes != nil { return try decodeByte(type) }
let (value, end) = try decoder.read(offset, type, .index(currentIndex), body)
advance(to: end)
return value
}
@inline(never)
private mutating func decodeByte<R>(_ type: R.Type) throws -> R {
let byte = bytes.map { $0[currentIndex] } ?? 0
let value: Any? =
switch type {
case is UInt8.Type: byte
case let type as any FixedWidthInteger.Type: type.init(exactly: byte)
case is Double.Type: Double(byte)
case is Float.Type: Float(byte)
default: nil
}
guard let result = value as? R else {
let error = CBORError(.mismatch(found: .bytes), at: decoder.start)
throw decoder.decodingError(error, type, CBORCodingKey(index: currentIndex))
}
currentIndex += 1
return result
}
private mutating func integer<I: FixedWidthInteger>(_ type: I.Type) throws -> I {
try read(type) { (reader) throws(CBORError) in try reader.readInteger(type) }
}
mutating func decodeNil() throws -> Bool {
try checkNotAtEnd(Never.self)
if bytes != nil { return false }
var reader = decoder.document.reader(at: offset)
guard (try? reader.skipTags()) != nil, reader.readNull() else { return false }
advance(to: reader.offset)
return true
}
mutating func decode(_ type: Bool.Type) throws -> Bool {
try read(type) { (reader) throws(CBORError) in try reader.readBool() }
}
mutating func decode(_ type: String.Type) throws -> String {
try read(type) { (reader) throws(CBORError) in try reader.readText() }
}
mutating func decode(_ type: Double.Type) throws -> Double {
try read(type) { (reader) throws(CBORError) in try reader.readDouble() }
}
mutating func decode(_ type: Float.Type) throws -> Float {
try read(type) { (reader) throws(CBORError) in try reader.readFloat() }
}
mutating func decode(_ type: Int.Type) throws -> Int { try integer(type) }
mutating func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
mutating func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
mutating func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
mutating func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
mutating func decode(_ type: Int128.Type) throws -> Int128 { try integer(type) }
mutating func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
if let bytes, currentIndex < elementCount {
defer { currentIndex += 1 }
return bytes[currentIndex]
}
return try integer(type)
}
mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try integer(type) }
mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
try checkNotAtEnd(type)
if bytes != nil { return try decodeByte(type) }
var end = -1
let value = try decoder.decode(
type, at: offset, depth: decoder.depth + 1, end: &end, .index(currentIndex)
)
advance(to: end < 0 ? try skipElement() : end)
return value
}
private func skipElement() throws -> Int {
try decoder.skip(offset, depth: decoder.depth + 1)
}
private func nested() throws -> CBORValueDecoder {
try checkNotAtEnd([Any].self)
guard bytes == nil else {
let error = CBORError(.mismatch(found: .unsigned), at: decoder.start)
throw decoder.decodingError(error, [Any].self, CBORCodingKey(index: currentIndex))
}
return CBORValueDecoder(in: decoder, .index(currentIndex), start: offset, depth: decoder.depth + 1)
}
mutating func nestedContainer<NestedKey: CodingKey>(
keyedBy: NestedKey.Type
) throws -> KeyedDecodingContainer<NestedKey> {
let nested = try nested()
let container: CBORKeyedDecodingContainer<NestedKey> = try nested.makeKeyed()
advance(to: try nested.findEnd())
return KeyedDecodingContainer(container)
}
mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
let nested = try nested()
let container = try nested.unkeyedContainer()
advance(to: try nested.findEnd())
return container
}
mutating func superDecoder() throws -> any Decoder {
let nested = try nested()
advance(to: try nested.findEnd())
return nested
}
}
"""###
),
(
"CBORUnkeyedEncodingContainer.swift",
###"""
struct CBORUnkeyedEncodingContainer: UnkeyedEncodingContainer {
let sink: CBOREncodingSink
let start: Int
let depth: Int
var codingPath: [any CodingKey] { sink.path(start, depth) }
var count: Int { sink.elementCount(start) }
@inline(__always)
private func write(_ body: (inout CBORWriter) -> Void) throws {
let (sink, home) = try sink.open(start)
body(&sink.writer)
sink.countElement(home)
}
func encodeNil() throws { try write { $0.writeNull() } }
func encode(_ value: Bool) throws { try write { $0.write(value) } }
func encode(_ value: String) throws { try write { $0.write(value) } }
func encode(_ value: Double) throws { try write { $0.write(value) } }
func encode(_ value: Float) throws { try write { $0.write(value) } }
func encode(_ value: Int) throws { try write { $0.write(value) } }
func encode(_ value: Int8) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int16) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int32) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int64) throws { try write { $0.write(value) } }
func encode(_ value: Int128) throws { try write { $0.write(value) } }
func encode(_ value: UInt) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt8) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt16) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt32) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt64) throws { try write { $0.write(value) } }
func encode(_ value: UInt128) throws { try write { $0.write(value) } }
func encode<T: Encodable>(_ value: T) throws {
let (sink, home) = try sink.open(start)
if !sink.canNest || !sink.writer.writeCommon(value) {
try sink.encodeNested(value, step: .index(count), mark: sink.writer.bytes.count)
}
sink.countElement(home)
}
func encode<T: Sequence>(contentsOf sequence: T) throws where T.Element == UInt8 {
let (sink, home) = try sink.open(start)
let done: Void? = sequence.withContiguousStorageIfAvailable {
sink.appendBytes(UnsafeRawBufferPointer($0), to: home)
}
if done == nil { Array(sequence).withUnsafeBytes { sink.appendBytes($0, to: home) } }
}
func nestedContainer<NestedKey: CodingKey>(keyedBy: NestedKey.Type) -> KeyedEncodingContainer<NestedKey> {
let nested = sink.openNested(in: start, head: 0xa0, step: .index(count)) { _ in }
return KeyedEncodingContainer(
CBORKeyedEncodingContainer<NestedKey>(sink: nested.sink, start: nested.start, depth: nested.depth)
)
}
func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
let nested = sink.openNested(in: start, head: 0x80, step: .index(count)) { _ in }
return CBORUnkeyedEncodingContainer(sink: nested.sink, start: nested.start, depth: nested.depth)
}
func superEncoder() -> any Encoder {
sink.makeSuperEncoder(in: start, depth: depth, step: .index(count)) { _ in }
}
}
"""###
),
(
"CBORValue+Coding.swift",
###"""
extension CBORWriter {
package mutating func write(_ value: CBORValue) {
switch value {
case .unsigned(let value): writeHead(0, value)
case .negative(let value): writeHead(1, value)
case .bytes(let value): write(bytes: value)
case .text(let value): write(value)
case .array(let items):
writeArrayHead(items.count)
for item in items { write(item) }
case .map(let pairs):
writeMapHead(pairs.count)
for pair in pairs {
write(pair.key)
write(pair.value)
}
case .tagged(let tag, let value):
writeTag(tag)
write(value)
case .bool(let value): write(value)
case .null: writeNull()
case .undefined: writeUndefined()
case .simple(let value): writeSimple(value)
case .float(let value): write(value)
}
}
}
extension CBORReader {
package mutating func readValue(depth: Int = 0) throws(CBORError) -> CBORValue {
let start = offset
do throws(CBORError) {
return try readAnyValue(depth)
} catch {
offset = start
throw error
}
}
private mutating func readAnyValue(_ depth: Int) throws(CBORError) -> CBORValue {
let start = offset
guard let first = peek else { throw CBORError(.truncated, at: start) }
let major = first >> 5
if major >= 4, major <= 6, depth >= maximumDepth { throw CBORError(.tooDeep, at: start) }
switch major {
case 0: return .unsigned(try readHead().argument)
case 1: return .negative(try readHead().argument)
case 2: return .bytes(try readBytes())
case 3: return .text(try readText())
case 4:
var items: [CBORValue] = []
try readElements(readArrayHead()) { (reader) throws(CBORError) in
items.append(try reader.readAnyValue(depth + 1))
}
return .array(items)
case 5:
var pairs: [CBORValue.Pair] = []
try readElements(readMapHead()) { (reader) throws(CBORError) in
let key = try reader.readAnyValue(depth + 1)
pairs.append(.init(key, try reader.readAnyValue(depth + 1)))
}
return .map(pairs)
case 6: return .tagged(try readTag(), try readAnyValue(depth + 1))
default: return try readSimpleOrFloat()
}
}
private mutating func readElements(
_ count: Int?, _ body: (inout CBORReader) throws(CBORError) -> Void
) throws(CBORError) {
if let count {
for _ in 0..<count { try body(&self) }
} else {
while !readBreak() { try body(&self) }
}
}
private mutating func readSimpleOrFloat() throws(CBORError) -> CBORValue {
switch peek {
case 0xf4, 0xf5: return .bool(try readBool())
case 0xf9, 0xfa, 0xfb: return .float(try readDouble())
case 0xff: throw CBORError(.unexpectedBreak, at: offset)
default:
let value = try readHead().argument
return value == 22 ? .null : value == 23 ? .undefined : .simple(UInt8(truncatingIfNeeded: value))
}
}
}
extension CBORValue {
package init(decoding bytes: [UInt8], limits: CBORLimits = .default) throws {
self = try CBORReader.read(bytes, limits: limits) { try $0.readValue() }
}
package var encoded: [UInt8] {
var writer = CBORWriter()
writer.write(self)
return writer.bytes
}
}
extension CBORValue: Codable {
package init(from decoder: any Decoder) throws {
guard let decoder = decoder as? CBORValueDecoder else {
throw DecodingError.dataCorrupted(
.init(codingPath: decoder.codingPath, debugDescription: "A CBORValue can only be decoded from CBOR.")
)
}
self = try decoder.readUntyped()
}
package func encode(to encoder: any Encoder) throws {
guard let encoder = encoder as? CBORValueEncoder else {
throw EncodingError.invalidValue(
self,
.init(codingPath: encoder.codingPath, debugDescription: "A CBORValue can only be encoded as CBOR.")
)
}
try encoder.encodeUntyped(self)
}
}
"""###
),
(
"CBORValue.swift",
###"""
package enum CBORValue: Hashable, Sendable {
case unsigned(UInt64)
case negative(UInt64)
case bytes([UInt8])
case text(String)
case array([CBORValue])
case map([Pair])
indirect case tagged(UInt64, CBORValue)
case bool(Bool)
case null
case undefined
case simple(UInt8)
case float(Double)
package struct Pair: Hashable, Sendable {
package var key: CBORValue
package var value: CBORValue
package init(_ key: CBORValue, _ value: CBORValue) {
self.key = key
self.value = value
}
}
package var integer: Int128? {
switch self {
case .unsigned(let value):
return Int128(value)
case .negative(let value):
return ~Int128(value)
case .tagged(let tag, .bytes(let bytes)) where tag == 2 || tag == 3:
let digits = bytes.drop { $0 == 0 }
guard digits.count < 16 || digits.count == 16 && digits[digits.startIndex] < 0x80 else { return nil }
let magnitude = digits.reduce(0) { $0 << 8 | Int128($1) }
return tag == 2 ? magnitude : ~magnitude
default:
return nil
}
}
package subscript(key: String) -> CBORValue? {
guard case .map(let pairs) = self else { return nil }
return pairs.first { $0.key == .text(key) }?.value
}
}
"""###
),
(
"CBORValueDecoder.swift",
###"""
final class CBORValueDecoder: Decoder {
let document: CBORDocument
private let parent: CBORValueDecoder?
private let step: CBORPathStep
let start: Int
let depth: Int
var end = -1
init(_ document: CBORDocument) {
self.document = document
self.parent = nil
self.step = .root
self.start = 0
self.depth = 0
}
init(in parent: CBORValueDecoder, _ step: CBORPathStep, start: Int, depth: Int) {
self.document = parent.document
self.parent = parent
self.step = step
self.start = start
self.depth = depth
}
var codingPath: [any CodingKey] {
var path: [any CodingKey] = []
var node: CBORValueDecoder? = self
while let current = node {
if let key = current.step.codingKey { path.append(key) }
node = current.parent
}
path.reverse()
return path
}
var userInfo: [CodingUserInfoKey: Any] { document.userInfo }
func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
KeyedDecodingContainer(try makeKeyed())
}
func makeKeyed<Key>() throws -> CBORKeyedDecodingContainer<Key> {
do throws(CBORError) {
var reader = document.reader(at: start)
try reader.skipTags()
let index = try CBORMapIndex(&reader, depth: depth)
end = reader.offset
return CBORKeyedDecodingContainer(decoder: self, index: index)
} catch {
throw decodingError(error, [String: Any].self)
}
}
func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
do throws(CBORError) {
return try CBORUnkeyedDecodingContainer(self)
} catch {
throw decodingError(error, [Any].self)
}
}
func singleValueContainer() -> any SingleValueDecodingContainer { self }
@inline(__always)
func read<R>(
_ offset: Int, _ type: Any.Type, _ step: @autoclosure () -> CBORPathStep,
_ body: (inout CBORReader) throws(CBORError) -> R
) throws -> (R, end: Int) {
do throws(CBORError) {
var reader = document.reader(at: offset)
try reader.skipTags()
let value = try body(&reader)
return (value, reader.offset)
} catch {
throw decodingError(error, type, step().codingKey)
}
}
@inline(__always)
func decode<T: Decodable>(
_ type: T.Type, at offset: Int, depth: Int, end: inout Int, _ step: @autoclosure () -> CBORPathStep
) throws -> T {
var reader = document.reader(at: offset)
do throws(CBORUncommon) {
let value = try reader.readCommon(type, depth: depth)
end = reader.offset
return value
} catch {}
let nested = CBORValueDecoder(in: self, step(), start: offset, depth: depth)
let value = try T(from: nested)
end = nested.end
return value
}
func findEnd() throws -> Int {
if end < 0 { end = try skip(start, depth: depth) }
return end
}
func skip(_ offset: Int, depth: Int) throws -> Int {
var reader = document.reader(at: offset)
do throws(CBORError) {
try reader.skipItem(depth)
return reader.offset
} catch {
throw decodingError(error, Any.self)
}
}
func decodingError(_ error: CBORError, _ type: Any.Type, _ key: (any CodingKey)? = nil) -> DecodingError {
var path = codingPath
if let key { path.append(key) }
switch error.reason {
case .mismatch(let found):
let context = DecodingError.Context(
codingPath: path,
debugDescription: "Expected \(type) but found \(found) at byte \(error.offset).",
underlyingError: error
)
return found == .null || found == .undefined ? .valueNotFound(type, context) : .typeMismatch(type, context)
case .outOfRange:
return .dataCorrupted(
.init(
codingPath: path,
debugDescription: "The number at byte \(error.offset) does not fit in \(type).",
underlyingError: error
)
)
default:
return .dataCorrupted(.init(codingPath: path, debugDescription: "\(error)", underlyingError: error))
}
}
}
extension CBORValueDecoder: SingleValueDecodingContainer {
@inline(__always)
private func single<R>(_ type: R.Type, _ body: (inout CBORReader) throws(CBORError) -> R) throws -> R {
let (value, end) = try read(start, type, .root, body)
self.end = end
return value
}
private func integer<I: FixedWidthInteger>(_ type: I.Type) throws -> I {
try single(type) { (reader) throws(CBORError) in try reader.readInteger(type) }
}
func decodeNil() -> Bool {
var reader = document.reader(at: start)
guard (try? reader.skipTags()) != nil, reader.readNull() else { return false }
end = reader.offset
return true
}
func decode(_ type: Bool.Type) throws -> Bool {
try single(type) { (reader) throws(CBORError) in try reader.readBool() }
}
func decode(_ type: String.Type) throws -> String {
try single(type) { (reader) throws(CBORError) in try reader.readText() }
}
func decode(_ type: Double.Type) throws -> Double {
try single(type) { (reader) throws(CBORError) in try reader.readDouble() }
}
func decode(_ type: Float.Type) throws -> Float {
try single(type) { (reader) throws(CBORError) in try reader.readFloat() }
}
func decode(_ type: Int.Type) throws -> Int { try integer(type) }
func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
func decode(_ type: Int128.Type) throws -> Int128 { try integer(type) }
func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
func decode(_ type: UInt128.Type) throws -> UInt128 { try integer(type) }
func decode<T: Decodable>(_ type: T.Type) throws -> T {
var reader = document.reader(at: start)
do throws(CBORUncommon) {
let value = try reader.readCommon(type, depth: depth)
end = reader.offset
return value
} catch {
return try T(from: self)
}
}
func readUntyped() throws -> CBORValue {
var reader = document.reader(at: start)
do throws(CBORError) {
let value = try reader.readValue(depth: depth)
end = reader.offset
return value
} catch {
throw decodingError(error, CBORValue.self)
}
}
}
"""###
),
(
"CBORValueEncoder.swift",
###"""
struct CBORValueEncoder: FrameEncoder, SingleValueEncodingContainer {
let sink: CBOREncodingSink
let start: Int
let depth: Int
var codingPath: [any CodingKey] { sink.path(start, depth) }
var userInfo: [CodingUserInfoKey: Any] { sink.userInfo }
func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
let place = sink.openContainer(start, depth: depth, head: 0xa0)
return KeyedEncodingContainer(
CBORKeyedEncodingContainer<Key>(sink: place.sink, start: place.start, depth: place.depth)
)
}
func unkeyedContainer() -> any UnkeyedEncodingContainer {
let place = sink.openContainer(start, depth: depth, head: 0x80)
return CBORUnkeyedEncodingContainer(sink: place.sink, start: place.start, depth: place.depth)
}
func singleValueContainer() -> any SingleValueEncodingContainer { self }
@inline(__always)
private func write(_ body: (inout CBORWriter) -> Void) throws {
guard sink.top == start, sink.writer.bytes.count == start else {
throw sink.misuse("A single value was encoded where something had been encoded before.", start, depth)
}
body(&sink.writer)
}
func encodeNil() throws { try write { $0.writeNull() } }
func encode(_ value: Bool) throws { try write { $0.write(value) } }
func encode(_ value: String) throws { try write { $0.write(value) } }
func encode(_ value: Double) throws { try write { $0.write(value) } }
func encode(_ value: Float) throws { try write { $0.write(value) } }
func encode(_ value: Int) throws { try write { $0.write(value) } }
func encode(_ value: Int8) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int16) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int32) throws { try write { $0.write(Int64(value)) } }
func encode(_ value: Int64) throws { try write { $0.write(value) } }
func encode(_ value: Int128) throws { try write { $0.write(value) } }
func encode(_ value: UInt) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt8) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt16) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt32) throws { try write { $0.write(UInt64(value)) } }
func encode(_ value: UInt64) throws { try write { $0.write(value) } }
func encode(_ value: UInt128) throws { try write { $0.write(value) } }
func encode<T: Encodable>(_ value: T) throws {
guard sink.top == start, sink.writer.bytes.count == start else {
throw sink.misuse("A single value was encoded where something had been encoded before.", start, depth)
}
if sink.baseDepth + depth < sink.limits.maximumDepth, sink.writer.writeCommon(value) { return }
try value.encode(to: self)
}
func encodeUntyped(_ value: CBORValue) throws {
try write { $0.write(value) }
let depth = sink.baseDepth + depth
try sink.writer.bytes.withUnsafeBytes { bytes in
var reader = CBORReader(UnsafeRawBufferPointer(rebasing: bytes[start...]), limits: sink.limits)
do {
try reader.skipItem(depth)
} catch {
throw EncodingError.invalidValue(value, .init(codingPath: codingPath, debugDescription: "\(error)"))
}
}
}
}
"""###
),
(
"CBORWriter.swift",
###"""
package struct CBORWriter: Sendable {
package var bytes: [UInt8]
package init(appendingTo bytes: [UInt8] = []) {
self.bytes = bytes
}
@inline(__always)
package mutating func writeHead(_ major: UInt8, _ argument: UInt64) {
if argument < 24 {
bytes.append(major << 5 | UInt8(truncatingIfNeeded: argument))
} else {
writeLongHead(major << 5, argument)
}
}
@inline(never)
private mutating func writeLongHead(_ major: UInt8, _ argument: UInt64) {
if argument <= 0xff {
bytes.append(major | 24)
bytes.append(UInt8(truncatingIfNeeded: argument))
} else if argument <= 0xffff {
bytes.append(major | 25)
bytes.append(UInt8(truncatingIfNeeded: argument >> 8))
bytes.append(UInt8(truncatingIfNeeded: argument))
} else if argument <= 0xffff_ffff {
writeFixed(major | 26, UInt32(truncatingIfNeeded: argument))
} else {
writeFixed(major | 27, argument)
}
}
@inline(__always)
private mutating func writeFixed<I: FixedWidthInteger>(_ initial: UInt8, _ value: I) {
bytes.append(initial)
Swift.withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
}
@inline(__always)
package mutating func write(_ value: Int) {
write(Int64(value))
}
@inline(__always)
package mutating func write(_ value: Int64) {
writeHead(value < 0 ? 1 : 0, UInt64(bitPattern: value < 0 ? ~value : value))
}
@inline(__always)
package mutating func write(_ value: UInt64) {
writeHead(0, value)
}
package mutating func write(_ value: Int128) {
let isNegative = value < 0
writeMagnitude(UInt128(truncatingIfNeeded: isNegative ? ~value : value), isNegative: isNegative)
}
package mutating func write(_ value: UInt128) {
writeMagnitude(value, isNegative: false)
}
private mutating func writeMagnitude(_ magnitude: UInt128, isNegative: Bool) {
if let short = UInt64(exactly: magnitude) {
return writeHead(isNegative ? 1 : 0, short)
}
writeTag(isNegative ? 3 : 2)
let count = (128 - magnitude.leadingZeroBitCount + 7) / 8
writeHead(2, UInt64(count))
for index in (0..<count).reversed() {
bytes.append(UInt8(truncatingIfNeeded: magnitude >> UInt128(index * 8)))
}
}
@inline(__always)
package mutating func write(_ text: String) {
var text = text
text.withUTF8 { utf8 in
writeHead(3, UInt64(utf8.count))
bytes.append(contentsOf: utf8)
}
}
package mutating func write(bytes content: [UInt8]) {
content.withUnsafeBytes { write(bytes: $0) }
}
package mutating func write(bytes content: UnsafeRawBufferPointer) {
if content.count > 4096, bytes.capacity - bytes.count < content.count + 9 {
bytes.reserveCapacity(bytes.count + content.count + 9)
}
writeHead(2, UInt64(content.count))
bytes.append(contentsOf: content)
}
package mutating func writeArrayHead(_ count: Int) {
writeHead(4, UInt64(count))
}
package mutating func writeMapHead(_ count: Int) {
writeHead(5, UInt64(count))
}
package mutating func writeTag(_ tag: UInt64) {
writeHead(6, tag)
}
@inline(__always)
package mutating func write(_ value: Bool) {
bytes.append(value ? 0xf5 : 0xf4)
}
@inline(__always)
package mutating func writeNull() {
bytes.append(0xf6)
}
package mutating func writeUndefined() {
bytes.append(0xf7)
}
package mutating func writeSimple(_ value: UInt8) {
precondition(value < 24 || value > 31, "no such CBOR simple value: \(value)")
writeHead(7, UInt64(value))
}
package mutating func write(_ value: Double) {
if let single = CBORFloat.single(value) {
write(singleBits: single)
} else {
writeFixed(0xfb, value.bitPattern)
}
}
package mutating func write(_ value: Float) {
write(singleBits: value.bitPattern)
}
private mutating func write(singleBits bits: UInt32) {
if let half = CBORFloat.half(bits) {
writeFixed(0xf9, half)
} else {
writeFixed(0xfa, bits)
}
}
}
"""###
),
(
"FragmentChannel.swift",
###"""
import Synchronization
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
private func sendSome(_ descriptor: Int32, _ start: UnsafeRawPointer, _ count: Int, waits: Bool = true) -> Int {
send(descriptor, start, count, Int32(MSG_NOSIGNAL) | (waits ? 0 : Int32(MSG_DONTWAIT)))
}
private func say(_ text: String) {
var text = text + "\n"
text.withUTF8 { _ = write(2, $0.baseAddress!, $0.count) }
}
public let channel = FragmentChannel(FragmentChannel.descriptor)
public enum FragmentChannelError: Error, CustomStringConvertible {
case closed
case valueUnusable(String)
public var description: String {
switch self {
case .closed: "the channel is closed"
case .valueUnusable(let why): why
}
}
}
public final class FragmentChannel: Sendable {
nonisolated(unsafe) static var descriptor: Int32 = -1
private static let finishMark: UInt32 = 0xffff_ffff
private static let failureMark: UInt32 = 0xffff_fffe
private static let closeMark: UInt32 = 0xffff_fffd
private static let limit = 64 * 1024 * 1024
private struct Failure: Encodable {
var type: String
var message: String
}
private let descriptor: Int32
private let writing = Mutex(false)
private let reading = Mutex(false)
init(_ descriptor: Int32) { self.descriptor = descriptor }
public func send<Value: Encodable>(_ value: Value) throws(FragmentChannelError) {
var bytes: [UInt8] = [0, 0, 0, 0]
do { try CBOREncoder(limits: CBORLimits(maximumByteCount: .max)).encode(value, into: &bytes) } catch {
throw .valueUnusable("a \(Value.self) cannot be sent: \(error)")
}
guard bytes.count - 4 <= Self.limit else {
throw .valueUnusable("a \(Value.self) has more than 64 MiB")
}
Self.put(UInt32(bytes.count - 4), &bytes)
guard !isClosed, write(bytes) else { throw .closed }
}
public func receive<Value: Decodable>(as type: Value.Type = Value.self) throws(FragmentChannelError) -> Value? {
guard let bytes = reading.withLock({ next(&$0) }) else { return nil }
do { return try CBORDecoder().decode(Value.self, from: bytes) } catch {
throw .valueUnusable("an item of the channel is no \(Value.self): \(error)")
}
}
public func items<Value: Decodable>(of type: Value.Type = Value.self) -> some Sequence<Value> {
sequence(state: self) { channel in
do throws(FragmentChannelError) { return try channel.receive(as: Value.self) } catch { errorInMain(error) }
}
}
public var isClosed: Bool {
var nothing: UInt8 = 0
return sendSome(descriptor, &nothing, 0) < 0 && errno != EINTR
}
public func finish() {
writing.withLock { isFinished in
if !isFinished { put(Self.bytes(Self.finishMark)) }
isFinished = true
}
}
public func close() {
_ = writing.withLockIfAvailable { isFinished in
var mark = Self.bytes(Self.closeMark)
_ = sendSome(descriptor, &mark, mark.count, waits: false)
isFinished = true
}
shutdown(descriptor, Int32(SHUT_RDWR))
}
func fail(_ error: any Error) {
let failure = Failure(type: "\(type(of: error))", message: "\(error)")
var bytes: [UInt8] = [0, 0, 0, 0]
try? CBOREncoder().encode(failure, into: &bytes)
Self.put(UInt32(bytes.count - 4), &bytes)
if !write(Self.bytes(Self.failureMark) + bytes) { say("error: \(failure.type): \(failure.message)") }
}
private static func put(_ count: UInt32, _ bytes: inout [UInt8]) {
bytes.withUnsafeMutableBytes { $0.storeBytes(of: count.bigEndian, as: UInt32.self) }
}
private static func bytes(_ mark: UInt32) -> [UInt8] {
var bytes: [UInt8] = [0, 0, 0, 0]
put(mark, &bytes)
return bytes
}
private func write(_ bytes: [UInt8]) -> Bool { writing.withLock { !$0 && put(bytes) } }
@discardableResult
private func put(_ bytes: [UInt8]) -> Bool {
bytes.withUnsafeBytes { bytes in
var offset = 0
while offset < bytes.count {
let count = sendSome(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
if count < 0, errno == EINTR { continue }
guard count > 0 else { return false }
offset += count
}
return true
}
}
private func next(_ isAtEnd: inout Bool) -> [UInt8]? {
guard !isAtEnd else { return nil }
if let head = read(4) {
let count = head.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) }
if count <= Self.limit, let item = read(Int(count)) { return item }
}
isAtEnd = true
return nil
}
private func read(_ count: Int) -> [UInt8]? {
var isWhole = true
let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
while filled < count {
let read = recv(descriptor, buffer.baseAddress! + filled, count - filled, 0)
if read < 0, errno == EINTR { continue }
guard read > 0 else {
isWhole = false
return
}
filled += read
}
}
return isWhole ? bytes : nil
}
}
"""###
),
(
"FragmentMain.swift",
###"""
#if canImport(Glibc)
@preconcurrency import Glibc
#elseif canImport(Musl)
@preconcurrency import Musl
#endif
@_extern(c, "martlet_fragment_main")
func fragmentMain(
_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32
@_cdecl("main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
let nothing = open("/dev/null", O_RDONLY)
if nothing >= 0 {
dup2(nothing, 0)
if nothing > 0 { close(nothing) }
} else {
close(0)
}
unsetenv("SWIFT_ROOT")
setvbuf(stdout, nil, _IOLBF, 0)
FragmentChannel.descriptor = descriptor
return fragmentMain(count, arguments)
}
@_silgen_name("__wrap_swift_errorInMain")
func errorInMain(_ error: any Error) -> Never {
channel.fail(error)
exit(1)
}
@_silgen_name("__wrap_swift_errorInMainTyped")
func typedErrorInMain<Failure: Error>(_ error: Failure) -> Never {
channel.fail(error)
exit(1)
}
"""###
),
]
}
