{#-
    The channel that a visit came by, from what its landing said: utm_source, utm_medium, utm_campaign (lower case) and the
    host of the referrer, all of which may be NULL. The usual default rules: what was paid for comes first, a campaign's own
    words come before the referrer, who says nothing came directly. Rules are tried from the top.
-#}
{% macro channel(source, medium, campaign, referrer_host) -%}
    {%- set origin = 'coalesce(' ~ source ~ ', ' ~ referrer_host ~ ', \'\')' -%}
    {%- set way = 'coalesce(' ~ medium ~ ', \'\')' -%}
    {%- set paid = matches(way, "'^(.*cp.*|ppc|retargeting|paid.*)$'") -%}
    {%- set engines = 'google|bing|duckduckgo|yahoo|ecosia|qwant|baidu|yandex|startpage|naver|seznam|sogou|ask|aol' -%}
    {%- set engine_hosts = '(^|[.])search[.](yahoo|brave|naver|aol)[.]|googlequicksearchbox' -%}
    {%- set search = matches(origin, "'^(m[.]|[a-z]{2}[.])?(" ~ engines ~ ")([.]|$)|" ~ engine_hosts ~ "'") -%}
    {%- set networks = 'facebook|instagram|twitter|linkedin|pinterest|reddit|tiktok|youtube|snapchat|threads|tumblr|vk' -%}
    {%- set short_hosts = '(^|[.])(t[.]co|x[.]com|fb[.]me|lnkd[.]in|pin[.]it|youtu[.]be)$' -%}
    {%- set social = matches(origin, "'(^|[.])(" ~ networks ~ ")([.]|$)|^(fb|ig|x)$|" ~ short_hosts ~ "'") -%}
    {%- set email_way = matches(way, "'^(e[-_ ]?mail|newsletter)$'") -%}
    {%- set email_origin = matches(origin, "'^(e[-_ ]?mail|newsletter)$|^(mail|webmail|outlook)[.]'") -%}
    {%- set social_ways = "'social', 'social-network', 'social-media', 'sm', 'social network', 'social media'" -%}
    {%- set untagged = source ~ ' is null and ' ~ medium ~ ' is null' -%}
    case
        when {{ untagged }} and {{ campaign }} is null and {{ referrer_host }} is null then 'direct'
        when {{ paid }} and {{ search }} then 'paid_search'
        when {{ paid }} and {{ social }} then 'paid_social'
        when {{ way }} in ('display', 'banner', 'expandable', 'interstitial', 'cpm') then 'display'
        when {{ paid }} then 'other'
        when {{ email_way }} or {{ email_origin }} then 'email'
        when {{ way }} in ('affiliate', 'affiliates') then 'affiliates'
        when {{ social }} or {{ way }} in ({{ social_ways }}) then 'organic_social'
        when {{ search }} or {{ way }} = 'organic' then 'organic_search'
        when {{ way }} in ('referral', 'app', 'link') then 'referral'
        when {{ untagged }} and {{ referrer_host }} is not null then 'referral'
        else 'other'
    end
{%- endmacro %}
