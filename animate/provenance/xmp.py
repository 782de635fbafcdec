"""XMP packets: the IPTC digital source type and, if it has no other place, the AIGC label.

Source: ISO 16684-1 (XMP); IPTC Photo Metadata Standard 2023.1, "Digital Source Type";
GB 45438-2025 with the TC260 namespace for pictures. XML is untrusted: entities are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from animate.provenance.aigc import Aigc

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
DCTERMS = "http://purl.org/dc/terms/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
LARGEST = 1 << 20  # bytes of the largest packet read
LONGEST_LINK = 2000  # characters kept of a manifest's address


@dataclass(frozen=True)
class Xmp:
    """The fields of a packet that this toolkit uses."""

    source: str | None = None  # URI of the digital source type
    aigc: tuple[str, ...] = ()
    comment: str | None = None
    manifest: str | None = None  # address of a remote C2PA manifest


def packet(source: str, aigc: Aigc | None = None, comment: str | None = None) -> bytes:
    """An XMP packet, UTF-8. `comment` becomes dc:description, for formats without comments."""
    parts = [f"<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>"]
    if aigc is not None:
        parts.append(f"<TC260:AIGC>{escape(aigc.json())}</TC260:AIGC>")
    if comment is not None:
        text = f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(comment)}</rdf:li></rdf:Alt>'
        parts.append(f"<dc:description>{text}</dc:description>")
    spaces = f'xmlns:Iptc4xmpExt="{IPTC}" xmlns:TC260="{TC260}" xmlns:dc="{DC}"'
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" {spaces}>{"".join(parts)}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def read(data: bytes) -> Xmp:
    """Parse a packet; an empty Xmp if it is not XMP, is too large, or has a DTD."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(data) > LARGEST:
        return Xmp()
    try:
        root = fromstring(data.strip(b"\0 \t\r\n"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return Xmp()
    source, aigc, comment, manifest = None, [], None, None
    for node in root.iter():
        values = {**node.attrib, node.tag: node.text or ""}  # properties may be attributes
        if node.tag == f"{{{IPTC}}}DigitalSourceType":
            values[node.tag] = values[node.tag] or node.get(f"{{{RDF}}}resource", "")
        source = values.get(f"{{{IPTC}}}DigitalSourceType", "").strip() or source
        link = values.get(f"{{{DCTERMS}}}provenance", "").strip()
        if link.startswith(("http://", "https://")):  # remote manifest: C2PA 2.2, section 11.5
            manifest = link[:LONGEST_LINK]
        if f"{{{TC260}}}AIGC" in values:
            aigc.append(values[f"{{{TC260}}}AIGC"])
        if node.tag == f"{{{DC}}}description":
            comment = next((n.text for n in node.iter(f"{{{RDF}}}li")), None)
    return Xmp(source, tuple(aigc), comment, manifest)
